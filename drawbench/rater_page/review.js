// The overview: what is still open, and the downloads. Joined between practice.js and page.js.

function showReview() {
  show("review");
  const open = sheet.items.length - countComplete();
  element("summary").textContent = open
    ? `${sheet.items.length - open} of ${sheet.items.length} ${word}s are complete, ${open} still miss an answer.`
    : `All ${sheet.items.length} ${word}s are complete.`;
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
  for (let step = 0; step < stepCount(); step += 1) {
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
  button.textContent = `${Word} ${item.order}`;
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
