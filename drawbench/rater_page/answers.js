// What a rater answered: kept in this browser while the sheet is being filled, and written out as CSV or JSON.
// The first of the scripts that imagen_bench/human/page.py joins into one.
"use strict";

const sheet = JSON.parse(document.getElementById("data").textContent);
const storageKey = ["imagen-bench", sheet.study_id, sheet.sheet_id, sheet.sheet_hash].join(":");

function emptyState() {
  // answers and milliseconds: item id -> question name -> value.
  return {
    rater: "", step: 0, practised: false, hotkeys: true, advance: false,
    answers: {}, milliseconds: {}, answeredAt: {}, comments: {},
  };
}

let state = emptyState();
let storageWorks = true;
let unsaved = false;

function restore() {
  let text = null;
  try {
    text = localStorage.getItem(storageKey);
  } catch {
    storageWorks = false;
  }
  try {
    if (text) state = Object.assign(emptyState(), JSON.parse(text));
  } catch {
    state = emptyState();
  }
}

function save() {
  unsaved = true;
  try {
    localStorage.setItem(storageKey, JSON.stringify(state));
    storageWorks = true;
  } catch {
    storageWorks = false;
  }
}

function forget() {
  state = Object.assign(emptyState(), { hotkeys: state.hotkeys, advance: state.advance });
  save();
}

function get(table, item, question) {
  return (state[table][item.item_id] || {})[question.name];
}

function put(table, item, question, value) {
  const row = state[table][item.item_id] || (state[table][item.item_id] = {});
  row[question.name] = value;
}

function setAnswer(item, question, value) {
  put("answers", item, question, value);
  put("answeredAt", item, question, new Date().toISOString());
  save();
}

function countAnswered(item) {
  return sheet.questions.filter((question) => get("answers", item, question)).length;
}

function countComplete() {
  return sheet.items.filter((item) => countAnswered(item) === sheet.questions.length).length;
}

function isComplete() {
  return countComplete() === sheet.items.length;
}

function isStarted() {
  return sheet.items.some((item) => countAnswered(item) > 0);
}

// Spreadsheet programs run a cell that starts so as a formula; the leading apostrophe makes it text.
function csvCell(value) {
  const text = /^[=+\-@\t\r＝＋－＠]/.test(value) ? "'" + value : String(value);
  return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
}

const secondsOf = (milliseconds) => Math.round(milliseconds) / 1000;

function toCsv() {
  const columns = [...sheet.columns];
  const values = {
    study_id: () => sheet.study_id,
    sheet_id: () => sheet.sheet_id,
    sheet_hash: () => sheet.sheet_hash,
    comment: (item) => state.comments[item.item_id] || "",
    rater_id: () => state.rater,
  };
  for (const question of sheet.questions) {
    values["q_" + question.name] = (item) => get("answers", item, question) || "";
    // One question: seconds, answered_at; several: seconds_fidelity, answered_at_fidelity, ...
    const suffix = sheet.questions.length > 1 ? "_" + question.name : "";
    columns.push("seconds" + suffix, "answered_at" + suffix);
    values["seconds" + suffix] = (item) =>
      get("answers", item, question) ? secondsOf(get("milliseconds", item, question) || 0) : "";
    values["answered_at" + suffix] = (item) => get("answeredAt", item, question) || "";
  }
  const row = (item) => columns.map((name) => csvCell(values[name] ? values[name](item) : item[name]));
  const lines = [columns, ...sheet.items.map(row)].map((cells) => cells.join(",") + "\r\n");
  return "\ufeff" + lines.join("");
}

async function toJson() {
  const answers = [];
  for (const item of sheet.items) {
    for (const question of sheet.questions) {
      const answer = get("answers", item, question);
      if (!answer) continue;
      answers.push({
        item_id: item.item_id,
        question: question.name,
        answer: answer,
        seconds: secondsOf(get("milliseconds", item, question) || 0),
        answered_at: get("answeredAt", item, question),
      });
    }
  }
  const record = {
    schema: 1,
    study_id: sheet.study_id,
    sheet_id: sheet.sheet_id,
    sheet_hash: sheet.sheet_hash,
    rater_id: state.rater,
    completion_code: isComplete() ? sheet.completion_code : "",
    answers: answers,
    comments: sheet.items
      .filter((item) => state.comments[item.item_id])
      .map((item) => ({ item_id: item.item_id, comment: state.comments[item.item_id] })),
  };
  // Over the record without this key, as JSON.stringify writes it: shows a file cut short or edited on its way.
  record.sha256 = await sha256(JSON.stringify(record));
  return JSON.stringify(record) + "\n";
}

async function sha256(text) {
  if (!globalThis.crypto || !crypto.subtle) return "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Takes over the answers of a downloaded file; returns a message when the file does not fit this sheet.
function loadJson(text) {
  let record;
  try {
    record = JSON.parse(text);
  } catch {
    return "This is not a JSON file downloaded from this page.";
  }
  if (!record || record.sheet_hash !== sheet.sheet_hash || !Array.isArray(record.answers)) {
    return "This file was downloaded from another sheet.";
  }
  const items = new Map(sheet.items.map((item) => [item.item_id, item]));
  const questions = new Map(sheet.questions.map((question) => [question.name, question]));
  const loaded = Object.assign(emptyState(), { hotkeys: state.hotkeys, advance: state.advance, practised: true });
  loaded.rater = String(record.rater_id || "").slice(0, 64);
  state = loaded;
  for (const row of record.answers) {
    const item = items.get(row.item_id);
    const question = questions.get(row.question);
    if (!item || !question || !question.answers.some((known) => known.value === row.answer)) continue;
    put("answers", item, question, row.answer);
    put("milliseconds", item, question, Number.isFinite(row.seconds) ? Math.round(row.seconds * 1000) : 0);
    put("answeredAt", item, question, String(row.answered_at || ""));
  }
  for (const row of Array.isArray(record.comments) ? record.comments : []) {
    if (items.has(row.item_id)) state.comments[row.item_id] = String(row.comment).slice(0, 500);
  }
  save();
  return "";
}

function download(text, type, ending) {
  const name = [sheet.study_id, sheet.sheet_id, state.rater.replace(/[^A-Za-z0-9_-]+/g, "_")].join("_") + ending;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  unsaved = false;
}
