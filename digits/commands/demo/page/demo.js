// Draws strokes, asks the server what they read, and shows its answer. No framework, no network.
"use strict";

const SENT_SIDE = 280; // pixels of a drawing as it is sent and kept
const PEN = 0.075; // of the paper's side
const PAUSE = 700; // milliseconds without a change, after which a screen reader is told
const MOST_BYTES = 2 ** 24; // as the server has it
const find = (id) => document.getElementById(id);
const paper = find("paper");

let classes = [];
let strokes = []; // each a list of points [x, y], 0 to 1
let photo = null; // {file, bitmap} in place of strokes
let past = []; // what was on the paper before, for undo: pairs of strokes and photo
let digits = []; // as the server has read them
let chosen = 0; // of these
let isKept = false; // what is on the paper: the next stroke clears it
let drawing = null; // the stroke that a pointer is drawing, and its id

// The paper

function paint(context, side) {
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  context.lineWidth = PEN * side;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "#000";
  for (const points of strokes) {
    const [first, ...rest] = points.map(([x, y]) => [x * side, y * side]);
    context.beginPath();
    context.moveTo(...first);
    // Through the middles of what a hand has drawn, so that corners of a slow screen are round.
    rest.forEach((point, number) => {
      const next = rest[number + 1] ?? point;
      context.quadraticCurveTo(...point, (point[0] + next[0]) / 2, (point[1] + next[1]) / 2);
    });
    if (!rest.length) context.lineTo(...first);
    context.stroke();
  }
}

function placePhoto(side) {
  const { width, height } = photo.bitmap;
  const scale = side / Math.max(width, height);
  const size = [width * scale, height * scale];
  return [(side - size[0]) / 2, (side - size[1]) / 2, ...size];
}

function redraw() {
  const side = Math.round(paper.clientWidth * devicePixelRatio);
  if (paper.width !== side) paper.width = paper.height = side;
  const context = paper.getContext("2d");
  paint(context, side);
  const place = photo ? placePhoto(side) : [0, 0, side, side];
  if (photo) context.drawImage(photo.bitmap, ...place);
  if (photo || digits.length > 1) digits.forEach((digit, number) => {
    const [left, top, right, bottom] = digit.box;
    context.lineWidth = (number === chosen ? 3 : 1.5) * devicePixelRatio;
    context.strokeStyle = "#d55e00";
    context.strokeRect(place[0] + left * place[2], place[1] + top * place[3],
      (right - left) * place[2], (bottom - top) * place[3]);
  });
  paper.classList.toggle("photo", photo !== null);
  const isEmpty = !photo && !strokes.length;
  find("undo").disabled = !past.length;
  find("clear").disabled = isEmpty;
  for (const button of find("labels").children) button.disabled = isEmpty;
  const what = photo ? "a picture" : isEmpty ? "empty" : `${strokes.length} strokes`;
  paper.setAttribute("aria-label", `Drawing area, ${what}`);
}

function change(newStrokes, newPhoto = null) {
  past.push([strokes, photo]);
  put(newStrokes, newPhoto);
}

function put(newStrokes, newPhoto) {
  [strokes, photo, isKept] = [newStrokes, newPhoto, false];
  note("");
  redraw();
  ask();
}

function takePoint(event) {
  const { left, top, width, height } = paper.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}

paper.addEventListener("pointerdown", (event) => {
  if (drawing || event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  drawing = { id: event.pointerId, points: [takePoint(event)] };
  change([...(photo || isKept ? [] : strokes), drawing.points]);
});
paper.addEventListener("pointermove", (event) => {
  if (drawing?.id !== event.pointerId) return;
  const all = event.getCoalescedEvents?.() ?? [];
  drawing.points.push(...(all.length ? all : [event]).map(takePoint));
  put(strokes, photo);
});
for (const name of ["pointerup", "pointercancel"])
  paper.addEventListener(name, (event) => {
    if (drawing?.id === event.pointerId) drawing = null;
  });

// Buttons, keys, pictures

function undo() {
  drawing = null;
  if (past.length) put(...past.pop());
}

function clear() {
  drawing = null;
  if (photo || strokes.length) change([]);
}

async function takeFile(file) {
  if (!file) return;
  if (file.size > MOST_BYTES) return note(`Expected at most ${MOST_BYTES / 2 ** 20} MB.`, true);
  try {
    change([], { file, bitmap: await createImageBitmap(file) });
  } catch {
    note("Expected a PNG or JPEG picture.", true);
  }
}

find("undo").addEventListener("click", undo);
find("clear").addEventListener("click", clear);
find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", (event) => {
  takeFile(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
document.addEventListener("paste", (event) => takeFile(event.clipboardData.files[0]));
document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (!isUndo && !["Escape", "Delete"].includes(event.key)) return;
  event.preventDefault();
  if (isUndo) undo();
  else clear();
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    if (name === "drop") takeFile(event.dataTransfer.files[0]);
  });

// The server

async function post(path, picture) {
  try {
    const answer = await fetch(path, { method: "POST", body: picture });
    return await answer.json();
  } catch {
    return { error: "The server does not answer: is it still running?" };
  }
}

async function takePicture() {
  if (photo) return photo.file;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT_SIDE;
  paint(canvas.getContext("2d"), SENT_SIDE);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

let isAsking = false;
let isChanged = false;

// One question at a time: what changes meanwhile is one more, however many changes there are.
async function ask() {
  isChanged = true;
  if (isAsking) return;
  isAsking = true;
  find("answer").setAttribute("aria-busy", "true");
  while (isChanged) {
    isChanged = false;
    const isEmpty = !photo && !strokes.length;
    const said = isEmpty ? { digits: [] } : await post("read", await takePicture());
    if (said.error) note(said.error, true);
    if (!isChanged || strokes.length) show(said.digits ?? []);
  }
  isAsking = false;
  find("answer").setAttribute("aria-busy", "false");
}

async function keep(number) {
  const said = await post(`keep/${number}`, await takePicture());
  isKept = !said.error;
  if (said.error) note(said.error, true);
  else note(`Kept in ${said.folder}. The next stroke begins a new drawing.`);
}

// The answer

function make(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

function note(text, isBad = false) {
  find("note").textContent = text;
  find("note").className = isBad ? "bad" : "";
}

function paintPixels(canvas, encoded) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  Array.from(atob(encoded), (letter) => letter.charCodeAt(0)).forEach((grey, place) => {
    image.data.set([grey, grey, grey, 255], 4 * place);
  });
  context.putImageData(image, 0, 0);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const rank = (digit) =>
  digit.probabilities.map((_, at) => at).sort((one, other) =>
    digit.probabilities[other] - digit.probabilities[one]);

function show(found) {
  digits = found;
  chosen = Math.min(chosen, Math.max(0, digits.length - 1));
  find("several").hidden = digits.length < 2;
  find("several").replaceChildren(...digits.map((digit, number) => {
    const button = make("button", classes[rank(digit)[0]]);
    button.type = "button";
    button.setAttribute("aria-pressed", number === chosen);
    button.addEventListener("click", () => {
      chosen = number;
      show(digits);
      find("several").children[number].focus();
    });
    return button;
  }));
  showDigit(digits[chosen]);
  redraw();
}

function showDigit(digit) {
  const order = digit ? rank(digit) : [];
  const likely = digit ? digit.probabilities[order[0]] : 0;
  find("digit").textContent = digit ? classes[order[0]] : "";
  find("sure").textContent = digit ? `with a probability of ${percent(likely)}`
    : photo || strokes.length ? "No digit found." : "Nothing drawn yet.";
  [...find("bars").rows].forEach((row, number) => {
    const share = digit?.probabilities[number] ?? 0;
    row.className = digit && number === order[0] ? "best" : "";
    row.querySelector(".bar").style.width = percent(share).replace(" ", "");
    row.lastChild.textContent = percent(share);
  });
  if (digit) paintPixels(find("seen"), digit.seen);
  else find("seen").getContext("2d").clearRect(0, 0, 28, 28);
  find("seen").setAttribute("aria-label", digit ? "The digit, light on dark" : "Nothing yet");
  find("nearest").replaceChildren(...(digit?.nearest ?? []).map((image) => {
    const item = make("li");
    const canvas = make("canvas", "", "pixels");
    canvas.width = canvas.height = 28;
    canvas.setAttribute("aria-hidden", "true"); // its label is said beside it
    paintPixels(canvas, image.pixels);
    item.append(canvas, classes[image.class]);
    return item;
  }));
  tell(digit ? `Reads ${classes[order[0]]}, ${percent(likely)}. Next likely ${classes[order[1]]}.`
    : find("sure").textContent);
}

let pause = 0;

function tell(text) {
  clearTimeout(pause);
  pause = setTimeout(() => { find("said").textContent = text; }, PAUSE);
}

async function start() {
  const facts = await post("facts", "");
  classes = facts.classes;
  if (!facts.has_nearest) find("nearest-note").textContent = "No training images here.";
  find("bars").replaceChildren(...classes.map((name) => {
    const row = make("tr");
    const cell = make("td");
    cell.append(make("div", "", "bar"));
    const head = make("th", name);
    head.scope = "row";
    row.append(head, cell, make("td"));
    return row;
  }));
  find("labels").replaceChildren(...classes.map((name, number) => {
    const button = make("button", name);
    button.type = "button";
    button.addEventListener("click", () => keep(number));
    return button;
  }));
  new ResizeObserver(redraw).observe(paper);
  show([]);
}

start();
