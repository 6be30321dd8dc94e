// The screens of a rating sheet: instructions, one question at a time, overview. Joined after answers.js.

const element = (id) => document.getElementById(id);
const screens = ["intro", "rate", "review"].map(element);
const radios = Array.from(document.querySelectorAll("input[name=answer]"));
const panes = Array.from(document.querySelectorAll(".pane"));
const steps = sheet.items.length * sheet.questions.length;
const longestPause = 5 * 60 * 1000;
let clockStart = 0;

const itemAt = (step) => sheet.items[Math.floor(step / sheet.questions.length)];
const questionAt = (step) => sheet.questions[step % sheet.questions.length];
const isRating = () => !element("rate").hidden;

function notice(text) {
  element("notice").textContent = text;
  element("notice").hidden = !text;
}

function warnIfNotSaved() {
  if (!storageWorks) {
    notice("This browser does not keep your answers when you close the page: download the JSON file before you leave.");
  }
}

function show(name) {
  stopClock();
  for (const screen of screens) screen.hidden = screen.id !== name;
  window.scrollTo(0, 0);
}

// Time counts only while the question is on a visible page.
function startClock() {
  clockStart = performance.now();
}

function stopClock() {
  if (!clockStart) return;
  const spent = Math.min(Math.round(performance.now() - clockStart), longestPause);
  const [item, question] = [itemAt(state.step), questionAt(state.step)];
  put("milliseconds", item, question, (get("milliseconds", item, question) || 0) + spent);
  clockStart = 0;
}

function showIntro() {
  const started = isStarted();
  element("rater").value = state.rater;
  element("hotkeys").checked = state.hotkeys;
  element("advance").checked = state.advance;
  element("resume").hidden = !started;
  element("resume").textContent = `Your answers are kept: ${countComplete()} of ${sheet.items.length} comparisons are complete.`;
  element("go").textContent = started ? "Continue" : "Start";
  element("restart").hidden = !started;
  show("intro");
}

function showStep(step) {
  show("rate");
  state.step = Math.max(0, Math.min(step, steps - 1));
  const [item, question] = [itemAt(state.step), questionAt(state.step)];
  const number = (state.step % sheet.questions.length) + 1;
  element("progress").textContent =
    `Comparison ${item.order} of ${sheet.items.length}, question ${number} of ${sheet.questions.length}`;
  showPictures(item);
  showQuestion(item, question);
  showCompleted();
  const comment = state.comments[item.item_id] || "";
  element("comment").value = comment;
  element("remark").open = comment !== "";
  element("back").disabled = state.step === 0;
  element("next").textContent = state.step === steps - 1 ? "Finish" : "Next";
  element("question").focus({ preventScroll: true });
  save();
  warnIfNotSaved();
  startClock();
}

function showPictures(item) {
  for (const side of ["left", "right"]) {
    const picture = element(side);
    if (picture.getAttribute("src") === item["image_" + side]) continue;
    picture.src = item["image_" + side];
    setZoom(false);
  }
  const following = sheet.items[item.order];
  if (!following) return;
  for (const side of ["left", "right"]) new Image().src = following["image_" + side];
}

function showQuestion(item, question) {
  const legend = element("question");
  legend.textContent = "";
  const [before, after] = question.text.split("{caption}");
  legend.append(before);
  if (after !== undefined) {
    const caption = document.createElement("q");
    caption.className = "caption";
    caption.textContent = item.prompt;
    legend.append(caption, after);
  }
  const answer = get("answers", item, question);
  for (const radio of radios) radio.checked = radio.value === answer;
}

function showCompleted() {
  element("bar").value = countComplete();
}

function setZoom(on) {
  element("pair").classList.toggle("zoomed", on);
  element("zoom").setAttribute("aria-pressed", String(on));
  for (const pane of panes) pane.tabIndex = on ? 0 : -1;
  if (!on) for (const pane of panes) pane.scrollTo(0, 0);
}

function toggleZoom() {
  setZoom(element("zoom").getAttribute("aria-pressed") !== "true");
}

function answer(value) {
  setAnswer(itemAt(state.step), questionAt(state.step), value);
  for (const radio of radios) radio.checked = radio.value === value;
  showCompleted();
  warnIfNotSaved();
}

function move(by) {
  const target = state.step + by;
  if (target >= steps) showReview();
  else if (target >= 0) showStep(target);
}

function showReview() {
  show("review");
  const open = sheet.items.length - countComplete();
  element("summary").textContent = open
    ? `${sheet.items.length - open} of ${sheet.items.length} comparisons are complete, ${open} still miss an answer.`
    : `All ${sheet.items.length} comparisons are complete.`;
  element("done").hidden = open > 0;
  element("code").textContent = open ? "" : sheet.completion_code;
  element("resume-rating").hidden = open === 0;
  const onlyOpen = element("only-open").checked;
  element("list").replaceChildren(...sheet.items.filter((item) => !onlyOpen || !isAnswered(item)).map(reviewEntry));
  element("review-title").focus({ preventScroll: true });
  save();
  warnIfNotSaved();
}

const isAnswered = (item) => countAnswered(item) === sheet.questions.length;

function firstOpenStep() {
  for (let step = 0; step < steps; step += 1) {
    if (!get("answers", itemAt(step), questionAt(step))) return step;
  }
  return 0;
}

function reviewEntry(item) {
  const entry = document.createElement("li");
  const button = document.createElement("button");
  const status = document.createElement("span");
  const count = countAnswered(item);
  button.type = "button";
  button.textContent = `Comparison ${item.order}`;
  status.className = "quiet";
  status.textContent = isAnswered(item) ? "✓ done" : count ? `${count} of ${sheet.questions.length}` : "open";
  button.append(" ", status);
  button.addEventListener("click", () => {
    const first = sheet.questions.findIndex((question) => !get("answers", item, question));
    showStep((item.order - 1) * sheet.questions.length + Math.max(first, 0));
  });
  entry.append(button);
  return entry;
}

function onKey(event) {
  if (!isRating() || event.ctrlKey || event.metaKey || event.altKey) return;
  const tag = event.target.tagName;
  if (tag === "TEXTAREA" || (event.key === "Enter" && (tag === "BUTTON" || tag === "SUMMARY"))) return;
  const shortcut = state.hotkeys && radios.find((radio) => radio.getAttribute("aria-keyshortcuts") === event.key.toLowerCase());
  const scrolls = event.target.classList.contains("pane");
  if (shortcut) {
    answer(shortcut.value);
    if (state.advance) move(1);
  } else if (state.hotkeys && event.key.toLowerCase() === "z") toggleZoom();
  else if (event.key === "Enter" || (event.key === "ArrowRight" && !scrolls)) move(1);
  else if (event.key === "Backspace" || (event.key === "ArrowLeft" && !scrolls)) move(-1);
  else return;
  event.preventDefault();
}

function start(event) {
  event.preventDefault();
  const rater = element("rater").value.trim();
  if (!rater) {
    element("rater").value = "";
    element("rater").reportValidity();
    return;
  }
  state.rater = rater;
  showStep(state.step);
}

async function loadEarlier() {
  const file = element("earlier").files[0];
  if (!file) return;
  const problem = file.size > 5000000 ? "This file is too large." : loadJson(await file.text());
  notice(problem);
  if (!problem) {
    state.step = firstOpenStep();
    showIntro();
  }
}

function raterFromAddress() {
  const parameters = new URLSearchParams(location.search);
  const name = sheet.rater_parameters.find((parameter) => parameters.get(parameter));
  return name ? parameters.get(name).trim().slice(0, 64) : "";
}

function connect() {
  const onClick = (id, action) => element(id).addEventListener("click", action);
  element("start").addEventListener("submit", start);
  element("form").addEventListener("submit", (event) => { event.preventDefault(); move(1); });
  onClick("back", () => move(-1));
  onClick("zoom", toggleZoom);
  onClick("help", showIntro);
  onClick("overview", showReview);
  onClick("resume-rating", () => showStep(firstOpenStep()));
  onClick("save-csv", () => download(toCsv(), "text/csv;charset=utf-8", ".csv"));
  onClick("save-json", async () => download(await toJson(), "application/json", ".json"));
  onClick("restart", () => {
    if (confirm("Delete all answers of this sheet?")) { forget(); showIntro(); }
  });
  element("only-open").addEventListener("change", showReview);
  element("earlier").addEventListener("change", loadEarlier);
  for (const name of ["hotkeys", "advance"]) {
    element(name).addEventListener("change", () => { state[name] = element(name).checked; save(); });
  }
  element("comment").addEventListener("input", () => {
    state.comments[itemAt(state.step).item_id] = element("comment").value;
    save();
  });
  for (const radio of radios) radio.addEventListener("change", () => answer(radio.value));
  for (const side of ["left", "right"]) {
    element(side).addEventListener("click", toggleZoom);
    element(side).addEventListener("error", () =>
      notice("An image could not be loaded: unpack the whole zip file first, and keep this page beside its folder images."));
  }
  for (const pane of panes) {
    pane.addEventListener("scroll", () => {
      for (const other of panes) if (other !== pane) other.scrollTo(pane.scrollLeft, pane.scrollTop);
    });
  }
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => {
    if (!isRating()) return;
    if (document.hidden) { stopClock(); save(); } else startClock();
  });
  window.addEventListener("pagehide", () => { if (isRating()) { stopClock(); save(); } });
  window.addEventListener("beforeunload", (event) => { if (!storageWorks && unsaved) event.preventDefault(); });
}

restore();
state.rater = state.rater || raterFromAddress();
connect();
showIntro();
