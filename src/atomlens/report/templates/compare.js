// One molecule in detail, and sums over all of them.
function choose(number) {
  state.frame = Math.max(0, Math.min(DATA.frames.length - 1, number));
  byId("frame-choice").value = state.frame;
  changed("frame");
}

function pictures() {
  const f = frame();
  byId("pictures").replaceChildren(...DATA.models.map((name, m) => {
    const drawing = node("div"), { prediction, constant, remainder } = f.models[m];
    const box = node("div", {}, node("h3", { class: seriesOf(m) }, name), drawing, node("p", { class: "numbers" },
      `prediction ${withUnit(prediction, false)} = constant part ${amount(constant, false)} and terms ${amount(prediction - constant)}` +
      (Math.abs(remainder) > 0 ? `, of which ${amount(remainder)} of more than ${f.models[m].orders.length} atoms` : "")));
    picture(drawing, f, m, { width: 520, height: 340, radius: 12, margin: 34 });
    return box;
  }));
  byId("one-name").textContent = f.name;
  byId("geometry").textContent = f.geometry;
}

// Terms of the first model against those of every other.
function scatter() {
  const f = frame(), terms = f.pairs.terms.map((column) => column.map((v) => (v ?? 0) * factor()));
  const width = room(byId("scatter"), 520), [height, left, bottom, top, right] = [Math.min(440, width), 70, 52, 14, 14];
  const svg = canvas(byId("scatter"), width, height, "Pair terms of the models against each other");
  const all = terms.flat(), low = Math.min(0, ...all), high = Math.max(0, ...all), pad = 0.05 * (high - low || 1);
  const x = (v) => left + ((v - low + pad) / (high - low + 2 * pad)) * (width - left - right);
  const y = (v) => height - bottom - ((v - low + pad) / (high - low + 2 * pad)) * (height - top - bottom);
  for (const t of ticks(low, high, 5)) {
    svg.append(line(x(t), top, x(t), height - bottom, { class: "grid" }), line(left, y(t), width - right, y(t), { class: "grid" }),
      text(x(t), height - bottom + 17, tickText(t), { class: "tick middle" }), text(left - 7, y(t) + 4, tickText(t), { class: "tick end" }));
  }
  svg.append(line(x(low), y(low), x(high), y(high), { class: "mark" }),
    text((left + width - right) / 2, height - 10, `pair term in ${DATA.models[0]}, ${state.unit}`, { class: "axis-name middle" }),
    text(0, 0, `pair term in ${DATA.models.length === 2 ? DATA.models[1] : "the others"}, ${state.unit}`,
      { class: "axis-name middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)` }));
  terms.slice(1).forEach((column, other) => column.forEach((value, k) => {
    const dot = shape("circle", { cx: x(terms[0][k]), cy: y(value), r: 4.5, class: `mark-dot full ${seriesOf(other + 1)}` });
    note(dot, () => pairLines(f, k));
    svg.append(dot);
  }));
  byId("agreement").textContent = f.agreement.map(([all, bonds, others], k) =>
    (DATA.models.length > 2 ? `${DATA.models[k + 1]}: ` : "") + agreementText(all) +
    (all === null ? "" : `; among bonds alone ${agreementText(bonds)}, among other pairs ${agreementText(others)}`)).join("; ");
}

function pairTable() {
  const f = frame(), { i, j, d, kind, terms, total } = f.pairs;
  const rows = d.slice(0, 200).map((_, k) => node("tr", {}, node("td", { class: "name" }, `${label(i[k])}\u2013${label(j[k])}`),
    numberCell(d[k], d[k].toFixed(2)), node("td", {}, kindName(kind[k])),
    ...terms.map((column) => numberCell(column[k] ?? 0, column[k] === null ? "\u2013" : amount(column[k]), tone(column[k] ?? 0)))));
  fillRows("pair-rows", rows);
  byId("pair-count").textContent = `${Math.min(200, d.length)} of ${total} pairs, strongest first, in ${state.unit}.`;
}

// Groups of bars, one bar per model; `value` gives the numbers, `show` writes them.
function groupedBars(host, groups, { title, show, value }) {
  const m = DATA.models.length, bar = Math.max(7, 16 - m), step = m * (bar + 2) + 14, width = room(host, 560), left = narrow(width) ? 128 : 172, right = narrow(width) ? 78 : 96;
  const height = groups.length * step + 8, largest = Math.max(...groups.flatMap((g) => value(g)), 1e-12);
  const svg = canvas(host, width, height, title);
  groups.forEach((group, g) => {
    const top = g * step + 6;
    svg.append(text(left - 10, top + (m * (bar + 2)) / 2 + 3, group.name, { class: "row-name" }));
    value(group).forEach((v, k) => {
      const y = top + k * (bar + 2), length = (v / largest) * (width - left - right);
      const drawn = shape("rect", { x: left, y, width: Math.max(length, 0.5), height: bar, class: `bar series ${seriesOf(k)}` });
      note(drawn, () => [group.name, `${DATA.models[k]}: ${show(v)}`, ...(group.notes?.(k) ?? [])]);
      svg.append(drawn, text(left + length + 6, y + bar - 2, show(v), { class: "tick" }));
    });
  });
}
function kindBars(host, kinds) {
  groupedBars(host, kinds.map((entry) => ({ ...entry, name: `${kindName(DATA.vocabulary.kinds.indexOf(entry.kind))} (${entry.count})`,
    notes: (k) => [`mean term ${withUnit(entry.net[k])}`] })),
  { title: "Mean strength by kind of pair", value: (g) => g.strength, show: (v) => withUnit(v, false) });
}
const ORDER_NAMES = ["single atoms", "pairs", "triples"];
function orderBars(host, orders) {
  groupedBars(host, orders[0].map((_, n) => ({ name: ORDER_NAMES[n], shares: orders.map((model) => model[n].share),
    notes: (k) => [`summed strength ${withUnit(orders[k][n].strength, false)}`] })),
  { title: "Share of the listed strength by order", value: (g) => g.shares, show: percent });
}

function unitsEverywhere() {
  kindBars(byId("kinds-all"), DATA.kinds);
  orderBars(byId("orders-all"), DATA.orders);
}
function details() {
  pictures();
  scatter();
  pairTable();
  kindBars(byId("kinds-one"), frame().kinds);
  orderBars(byId("orders-one"), frame().models.map((model) => model.orders));
  document.querySelectorAll("[data-frame-row]").forEach((row) => row.classList.toggle("chosen", Number(row.dataset.frameRow) === state.frame));
}

// Listed pairs of the chosen molecule, in full.
function pairsCsv() {
  const f = frame(), { i, j, d, kind, terms } = f.pairs;
  const head = ["atom_1", "atom_2", "element_1", "element_2", "distance_angstrom", "kind", ...DATA.models.map((name) => `${name}_${state.unit}`)];
  return [head, ...d.map((distance, k) => [i[k], j[k], f.symbols[i[k]], f.symbols[j[k]], distance, DATA.vocabulary.kinds[kind[k]],
    ...terms.map((column) => (column[k] === null ? "" : column[k] * factor()))])];
}

const frames = byId("frame-choice");
DATA.frames.forEach((f, k) => frames.append(node("option", { value: k }, f.name)));
frames.addEventListener("change", () => choose(Number(frames.value)));
byId("frame-before").addEventListener("click", () => choose(state.frame - 1));
byId("frame-after").addEventListener("click", () => choose(state.frame + 1));
if (DATA.unit === "eV") {
  Object.keys(FACTORS).forEach((unit) => byId("unit-choice").append(node("option", { value: unit }, unit)));
  byId("unit-choice").addEventListener("change", (event) => { state.unit = event.target.value; changed("unit"); });
  byId("unit-bar").hidden = false;
}
on("frame unit", details);
on("unit", () => { glance(); unitsEverywhere(); details(); });
document.querySelectorAll("main table").forEach(makeSortable);
const drawAll = () => { glance(); unitsEverywhere(); details(); };
drawAll();
chartExports();
tableExport(byId("pair-rows").closest("table"), "pairs", pairsCsv);
let lastWidth = document.documentElement.clientWidth, pause = null;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === lastWidth) return;
  lastWidth = document.documentElement.clientWidth;
  clearTimeout(pause);
  pause = setTimeout(drawAll, 150);
});
document.documentElement.dataset.drawn = "yes";
