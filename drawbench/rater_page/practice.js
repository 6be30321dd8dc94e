// The worked example in the instructions, and the practice before the sheet. Nothing of it is kept or downloaded as an
// answer. Joined between answers.js and page.js.

const [example, ...practice] = sheet.practice;
let practising = false;
let practiceStep = 0;

const fileOf = (item, side) => item[side === "image" ? "image" : "image_" + side];
const labelOf = (question, value) => question.answers.find((known) => known.value === value).label;

// A question as text nodes; where the caption stands, a <q> element or, if it is not to be shown, a word for it.
function questionParts(question, caption) {
  const [before, after] = question.text.split("{caption}");
  if (after === undefined) return [before];
  const quoted = document.createElement("q");
  quoted.className = "caption";
  quoted.textContent = caption;
  return [before, quoted, after];
}

function make(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function showExample() {
  if (!example) return;
  document.getElementById("example").hidden = false;
  const captions = Array.from(document.querySelectorAll("#pair img"), (picture) => picture.alt);
  const figures = sheet.sides.map((side, number) => {
    const picture = document.createElement("img");
    picture.src = fileOf(example, side);
    picture.alt = `${captions[number]} of the example`;
    return make("figure", "", picture, make("figcaption", "", captions[number]));
  });
  document.getElementById("example-pictures").replaceChildren(...figures);
  const answers = sheet.questions.flatMap((question) => [
    make("dt", "", ...questionParts(question, example.prompt)),
    make("dd", "", make("strong", "", labelOf(question, example.right[question.name])), ". ", example.reasons[question.name]),
  ]);
  document.getElementById("example-answers").replaceChildren(...answers);
}

// What is said after an answer in practice.
function feedbackOn(item, question) {
  const given = get("answers", item, question);
  if (!given) return "";
  const right = item.right[question.name];
  const verdict = given === right ? "That is what we would answer too." : `We would answer: ${labelOf(question, right)}.`;
  return `${verdict} ${item.reasons[question.name]}`;
}

function forgetPractice() {
  for (const item of practice) {
    for (const table of ["answers", "milliseconds", "answeredAt", "comments"]) delete state[table][item.item_id];
  }
  practiceStep = 0;
}
