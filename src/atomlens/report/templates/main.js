// Put the page together, and answer the reader's choices.
function buildChoices() {
  const units = byId("unit-choice");
  if (DATA.unit === "eV") {
    Object.keys(FACTORS).forEach((unit) => units.append(node("option", { value: unit }, unit)));
    units.value = state.unit;
    units.addEventListener("change", () => { state.unit = units.value; changed("unit"); });
    byId("unit-bar").hidden = false;
  }
  byId("colour-choice").value = state.colour;
  byId("colour-choice").addEventListener("change", (event) => { state.colour = event.target.value; changed("colour"); });
  byId("all-walks").addEventListener("click", () => { state.walk = state.walk === null ? firstWalk() : null; changed("walk"); });
}

function heading() {
  const f = frame();
  document.querySelectorAll("[data-frame]").forEach((place) => {
    const value = f[place.dataset.frame];
    place.replaceChildren(...(value === f.formula ? formula(value) : [value]));
  });
  byId("frame-place").textContent = DATA.frames.length > 1 ? `frame ${f.index} (${state.frame + 1} of ${DATA.frames.length} shown)` : "";
  const present = new Set(f.pairs?.relation ?? []);
  document.querySelectorAll("#relations label").forEach((box) => (box.hidden = !present.has(Number(box.dataset.relation))));
  document.querySelectorAll(".needs-pairs").forEach((part) => (part.hidden = !f.pairs || !f.pairs.r.length));
  document.querySelectorAll(".needs-triples").forEach((part) => (part.hidden = !f.triples || !f.triples.r.length));
}

function markRows() {
  document.querySelectorAll("#pair-rows tr").forEach((row) => {
    const k = Number(row.dataset.pair);
    row.classList.toggle("lit", isMarked(k));
    pressed(row, k === state.chosenPair);
  });
}
function markAll() {
  markMatrix();
  markDistance();
  markRows();
  markAtomRow();
  describeSelection();
}

// A new frame starts afresh; atoms keep their names from frame to frame, so the chosen atom stays.
function freshFrame() {
  state.pair = state.chosenPair = null;
  state.moved = false;
  if (state.atom !== null && state.atom >= frame().symbols.length) { state.atom = null; state.only = false; }
  state.walk = firstWalk();
  heading();
  resetThreshold();
}

const numbers = [equation, reading, waterfall, bars, listTriples, atomMatrix, groupMatrix, distanceChart, listWalks, showWalk, atomShares, framesChart];
const draw = () => numbers.forEach((chart) => chart());
on("frame", () => { freshFrame(); listAtoms(); showFrameNumber(); });
on("frame unit", draw);
on("frame", () => viewer.box && loadStructure());
on("frame unit shown", listPairs);
on("atom", () => { listPairs(); updateViewer(); markAll(); });
on("shown pair arrows", updateViewer);
on("frame atom arrows", describeArrows);
on("pair unit", markAll);
on("walk", showWalk);
on("colour", distanceChart);
on("frame unit shown pair atom walk colour arrows", writeAddress);

const wanted = takeAddress();
document.querySelectorAll("main table").forEach(makeSortable);
buildChoices();
buildControls();
buildSelection();
buildArrows();
buildFrames();
freshFrame();
applyToFrame(wanted);
listAtoms();
describeArrows();
if (DATA.frames.length > 1) showFrameNumber();
draw();
listPairs();
buildExports();
showViewer();
buildPicking();
address.ready = true;
goToSection(wanted.section);
window.addEventListener("hashchange", () => { // a link within the page: keep the choices; a pasted address: take its choices
  if (!location.hash.includes("?")) return writeAddress();
  location.reload();
});
// The bar that stays on top must not hide the heading of a section that was jumped to.
function measureBar() {
  const bar = document.querySelector(".bar-line");
  const height = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
  document.documentElement.style.setProperty("--bar", `${height}px`);
}
let width = document.documentElement.clientWidth, pause = null;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return; // a phone's bar that comes and goes changes the height alone
  width = document.documentElement.clientWidth;
  measureBar();
  hintScrolling();
  clearTimeout(pause);
  pause = setTimeout(draw, 150);
});
window.addEventListener("beforeprint", () => flatView(byId("print-view"), 620, 420));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", updateViewer);
measureBar();
hintScrolling();
document.addEventListener("toggle", hintScrolling, true); // what was closed had no width
document.documentElement.dataset.drawn = "yes";
