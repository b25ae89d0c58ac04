// Put the page together, and answer the reader's choices.
function buildChoices() {
  const frames = byId("frame-choice");
  if (DATA.frames.length > 1) {
    DATA.frames.forEach((f, k) => frames.append(node("option", { value: k }, `${f.index}: ${f.name}`)));
    const go = (k) => {
      state.frame = Math.max(0, Math.min(DATA.frames.length - 1, k));
      frames.value = state.frame;
      changed("frame");
    };
    frames.addEventListener("change", () => go(Number(frames.value)));
    byId("frame-before").addEventListener("click", () => go(state.frame - 1));
    byId("frame-after").addEventListener("click", () => go(state.frame + 1));
    buildControls.go = go;
    byId("frame-bar").hidden = false;
    byId("frames").hidden = false;
  }
  const units = byId("unit-choice");
  if (DATA.unit === "eV") {
    Object.keys(FACTORS).forEach((unit) => units.append(node("option", { value: unit }, unit)));
    units.addEventListener("change", () => { state.unit = units.value; changed("unit"); });
    byId("unit-bar").hidden = false;
  }
  byId("colour-choice").addEventListener("change", (event) => { state.colour = event.target.value; changed("colour"); });
  byId("all-walks").addEventListener("click", () => { state.walk = state.walk === null ? firstWalk() : null; changed("walk"); });
}

// Sums of every shown frame side by side; a click goes to the frame.
function framesChart() {
  if (DATA.frames.length < 2) return;
  const series = [["together", (f) => f.prediction - f.constant], ...[1, 2, 3].filter((n) => n <= frame().orders.length)
    .map((n) => [ORDERS[n], (f) => f.orders[n - 1].total]), ["larger sets", (f) => f.remainder]];
  const [width, height, left, right, top, bottom] = [860, 260, 74, 100, 12, 44];
  const svg = canvas(byId("frames-chart"), width, height, "Sums of terms in every frame");
  const values = series.flatMap(([, of]) => DATA.frames.map((f) => of(f) * factor()));
  const low = Math.min(...values), high = Math.max(...values);
  const x = (k) => left + (k / (DATA.frames.length - 1)) * (width - left - right);
  const y = (v) => top + ((high - v) / (high - low || 1)) * (height - top - bottom);
  for (const t of ticks(low, high, 5)) {
    svg.append(line(left, y(t), width - right, y(t), { class: "grid" }), text(left - 7, y(t) + 4, tickText(t), { class: "tick end" }));
  }
  const every = Math.ceil(DATA.frames.length / 12);
  DATA.frames.forEach((f, k) => { if (k % every === 0) svg.append(text(x(k), height - bottom + 16, f.index, { class: "tick middle" })); });
  svg.append(text((left + width - right) / 2, height - 6, "frame", { class: "axis-name middle" }),
    text(0, 0, `sum of terms, ${state.unit}`, { class: "axis-name middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)` }),
    line(x(state.frame), top, x(state.frame), height - bottom, { class: "mark" }));
  // Names stand at the end of their lines, pushed apart where they would touch.
  const ends = series.map(([name, of], s) => ({ name, s, y: y(of(DATA.frames[DATA.frames.length - 1]) * factor()) })).sort((a, b) => a.y - b.y);
  ends.forEach((end, k) => { if (k) end.y = Math.max(end.y, ends[k - 1].y + 13); });
  series.forEach(([, of], s) => svg.append(shape("path", { class: `line ${SERIES[s]}`,
    d: DATA.frames.map((f, k) => `${k ? "L" : "M"}${x(k)} ${y(of(f) * factor())}`).join("") })));
  ends.forEach(({ name, s, y: at }) => svg.append(text(width - right + 8, at + 4, name, { class: `line-name ${SERIES[s]}` })));
  DATA.frames.forEach((f, k) => {
    const step = (width - left - right) / (DATA.frames.length - 1);
    const hit = shape("rect", { x: x(k) - step / 2, y: top, width: step, height: height - top - bottom, class: "hit" });
    note(hit, () => [`frame ${f.index}: ${f.name}`, ...series.map(([name, of]) => `${name} ${withUnit(of(f))}`)]);
    hit.addEventListener("click", () => buildControls.go(k));
    svg.append(hit);
  });
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

function markRow() {
  document.querySelectorAll("#pair-rows tr").forEach((row) => row.classList.toggle("lit", Number(row.dataset.pair) === state.pair));
}

const numbers = [equation, reading, waterfall, bars, listTriples, atomMatrix, groupMatrix, distanceChart, listWalks, showWalk, atomShares, framesChart];
on("frame", () => { state.pair = null; state.walk = firstWalk(); heading(); resetThreshold(); });
on("frame unit", () => numbers.forEach((draw) => draw()));
on("frame", () => viewer.box && loadStructure());
on("frame unit shown", listPairs);
on("shown pair", updateViewer);
on("pair", () => { markMatrix(); markDistance(); markRow(); });
on("walk", showWalk);
on("colour", distanceChart);

buildChoices();
buildControls();
state.walk = firstWalk();
heading();
resetThreshold();
numbers.forEach((draw) => draw());
listPairs();
showViewer();
window.addEventListener("beforeprint", () => flatView(byId("print-view"), 620, 420));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", updateViewer);
document.documentElement.dataset.drawn = "yes";
