// The screens of a rating sheet: instructions, practice, one question at a time, overview. Joined last.

const element = (id) => document.getElementById(id);
const screens = ["intro", "rate", "ready", "review"].map(element);
const panes = Array.from(document.querySelectorAll(".pane"));
const longestPause = 5 * 60 * 1000;
const word = sheet.item_word;
const Word = word[0].toUpperCase() + word.slice(1);
let clockStart = 0;

const list = () => (practising ? practice : sheet.items);
const stepCount = () => list().length * sheet.questions.length;
const currentStep = () => (practising ? practiceStep : state.step);
const radios = () => Array.from(document.querySelectorAll("input[name=answer]"));
const itemAt = (step) => list()[Math.floor(step / sheet.questions.length)];
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
  const [item, question] = [itemAt(currentStep()), questionAt(currentStep())];
  put("milliseconds", item, question, (get("milliseconds", item, question) || 0) + spent);
  clockStart = 0;
}

function showIntro() {
  const started = isStarted();
  element("rater").value = state.rater;
  element("hotkeys").checked = state.hotkeys;
  element("advance").checked = state.advance;
  element("resume").hidden = !started;
  element("resume").textContent = `Your answers are kept: ${countComplete()} of ${sheet.items.length} ${word}s are complete.`;
  element("go").textContent = started ? "Continue" : "Start";
  element("restart").hidden = !started;
  const willPractise = practice.length > 0 && !started && !state.practised;
  element("practice-hint").hidden = !willPractise;
  element("practice-hint").textContent = `First a short practice: ${practice.length} ${word}${practice.length > 1 ? "s" : ""} that you can skip.`;
  show("intro");
}

function showStep(step) {
  show("rate");
  const within = Math.max(0, Math.min(step, stepCount() - 1));
  if (practising) practiceStep = within;
  else state.step = within;
  const [item, question] = [itemAt(within), questionAt(within)];
  showProgress(within);
  showPictures(item);
  showQuestion(item, question);
  showFeedback(item, question);
  showCompleted();
  const comment = state.comments[item.item_id] || "";
  element("comment").value = comment;
  element("remark").open = comment !== "";
  element("back").disabled = within === 0;
  element("next").textContent = within === stepCount() - 1 ? "Finish" : "Next";
  for (const id of ["bar", "overview", "remark"]) element(id).hidden = practising;
  element("skip").hidden = !practising;
  element("question").focus({ preventScroll: true });
  save();
  warnIfNotSaved();
  startClock();
}

function showProgress(step) {
  const number = Math.floor(step / sheet.questions.length) + 1;
  const question = sheet.questions.length > 1 ? `, question ${(step % sheet.questions.length) + 1} of ${sheet.questions.length}` : "";
  element("progress").textContent = `${practising ? "Practice" : Word} ${number} of ${list().length}${question}`;
}

function showPictures(item) {
  for (const side of sheet.sides) {
    const picture = element(side);
    if (picture.getAttribute("src") === fileOf(item, side)) continue;
    picture.src = fileOf(item, side);
    setZoom(false);
  }
  const following = practising ? undefined : sheet.items[item.order];
  if (!following) return;
  for (const side of sheet.sides) new Image().src = fileOf(following, side);
}

function showQuestion(item, question) {
  element("question").replaceChildren(...questionParts(question, item.prompt));
  const given = get("answers", item, question);
  element("choices").classList.toggle("scale", question.answers.length > 4);
  element("choices").replaceChildren(...question.answers.map((known) => choice(known, known.value === given)));
}

function choice(known, checked) {
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "answer";
  radio.value = known.value;
  radio.checked = checked;
  radio.setAttribute("aria-keyshortcuts", known.key);
  radio.addEventListener("change", () => answer(known.value));
  const key = make("kbd", "", known.key);
  key.setAttribute("aria-hidden", "true");
  return make("label", "choice", radio, make("span", "", known.label), key);
}

function showFeedback(item, question) {
  const text = practising ? feedbackOn(item, question) : "";
  element("feedback").textContent = text;
  element("feedback").hidden = !text;
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
  const [item, question] = [itemAt(currentStep()), questionAt(currentStep())];
  setAnswer(item, question, value);
  for (const radio of radios()) radio.checked = radio.value === value;
  showFeedback(item, question);
  showCompleted();
  warnIfNotSaved();
}

function move(by) {
  const target = currentStep() + by;
  if (target >= stepCount()) practising ? showReady() : showReview();
  else if (target >= 0) showStep(target);
}

function showReady() {
  show("ready");
  element("ready-title").focus({ preventScroll: true });
}

function beginPractice() {
  forgetPractice();
  practising = true;
  showStep(0);
}

function beginRating() {
  stopClock();
  forgetPractice();
  practising = false;
  state.practised = true;
  showStep(state.step);
}

function onKey(event) {
  if (!isRating() || event.ctrlKey || event.metaKey || event.altKey) return;
  const tag = event.target.tagName;
  if (tag === "TEXTAREA" || (event.key === "Enter" && (tag === "BUTTON" || tag === "SUMMARY"))) return;
  const shortcut = state.hotkeys && radios().find((radio) => radio.getAttribute("aria-keyshortcuts") === event.key.toLowerCase());
  const scrolls = event.target.classList.contains("pane");
  if (shortcut) {
    answer(shortcut.value);
    if (state.advance && !practising) move(1);
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
  if (practising) showStep(practiceStep);
  else if (practice.length > 0 && !isStarted() && !state.practised) beginPractice();
  else showStep(state.step);
}

async function loadEarlier() {
  const file = element("earlier").files[0];
  if (!file) return;
  const problem = file.size > 5000000 ? "This file is too large." : loadJson(await file.text());
  notice(problem);
  if (!problem) {
    practising = false;
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
  onClick("skip", beginRating);
  onClick("begin", beginRating);
  onClick("again", beginPractice);
  onClick("resume-rating", () => showStep(firstOpenStep()));
  onClick("save-csv", () => download(toCsv(), "text/csv;charset=utf-8", ".csv"));
  onClick("save-json", async () => download(await toJson(), "application/json", ".json"));
  onClick("restart", () => {
    if (confirm("Delete all answers of this sheet?")) { practising = false; forget(); showIntro(); }
  });
  element("only-open").addEventListener("change", showReview);
  element("earlier").addEventListener("change", loadEarlier);
  for (const name of ["hotkeys", "advance"]) {
    element(name).addEventListener("change", () => { state[name] = element(name).checked; save(); });
  }
  element("comment").addEventListener("input", () => {
    state.comments[itemAt(currentStep()).item_id] = element("comment").value;
    save();
  });
  for (const side of sheet.sides) {
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
showExample();
showIntro();
