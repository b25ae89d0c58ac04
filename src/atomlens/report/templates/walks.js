// The strongest walks, listed and drawn on the molecule; and what each atom reads out, starts and passes on.
function listWalks() {
  const { atoms, r } = frame().walks;
  const rows = atoms.map((walk, k) => {
    const row = node("tr", { "data-walk": k }, numberCell(k + 1, String(k + 1), "quiet"),
      node("td", { class: "path" }, walk.map(label).join(" \u2192 ")), numberCell(r[k], amount(r[k]), tone(r[k])));
    return choosable(row, () => { state.walk = k; changed("walk"); });
  });
  fillRows("walk-rows", rows);
}

// The strongest walk that goes anywhere: a walk that stays put shows little.
const firstWalk = () => Math.max(0, frame().walks.atoms.findIndex((walk) => new Set(walk).size > 1));

function arrow(layer, a, b, { kind, width, radius, bend, name }) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const from = [a[0] + ux * radius, a[1] + uy * radius], to = [b[0] - ux * (radius + 5), b[1] - uy * (radius + 5)];
  const middle = [(from[0] + to[0]) / 2 - uy * bend, (from[1] + to[1]) / 2 + ux * bend];
  layer.append(shape("path", { d: `M${from} Q${middle} ${to}`, class: `step ${kind}`, "stroke-width": width, "marker-end": `url(#head-${kind})` }));
  if (name) stepName(layer, [(from[0] + to[0]) / 4 + middle[0] / 2, (from[1] + to[1]) / 4 + middle[1] / 2], name);
}
function stay(layer, a, centre, { kind, width, radius, name, turn }) {
  // A loop on the side that points away from the middle of the drawing.
  const angle = Math.atan2(a[1] - centre[1], a[0] - centre[0]) + turn;
  const size = radius * 1.15;
  const middle = [a[0] + Math.cos(angle) * (radius + size * 0.8), a[1] + Math.sin(angle) * (radius + size * 0.8)];
  layer.append(shape("circle", { cx: middle[0], cy: middle[1], r: size, class: `step ${kind}`, "stroke-width": width }));
  if (name) stepName(layer, [middle[0] + Math.cos(angle) * size, middle[1] + Math.sin(angle) * size], name);
}
function stepName(layer, [x, y], name) {
  layer.append(shape("circle", { cx: x, cy: y, r: 8, class: "step-disc" }), text(x, y + 3.5, name, { class: "step-name" }));
}

function drawWalk(layer, at, radius, walk, { kind, width, centre, numbered }) {
  const loops = new Map(), bends = new Map();
  walk.slice(1).forEach((next, step) => {
    const here = walk[step], name = numbered ? String(step + 1) : null;
    if (next === here) {
      const turn = loops.get(here) ?? 0;
      loops.set(here, turn + 1.1);
      return stay(layer, at(here), centre, { kind, width, radius, name, turn });
    }
    const key = `${here}-${next}`;
    const bend = bends.get(key) ?? 14;
    bends.set(key, bend + 16);
    arrow(layer, at(here), at(next), { kind, width, radius, bend, name });
  });
}

// Atoms no further than 4 Å from a walk: in a large structure the rest would bury it.
function around(walk) {
  const { positions } = frame();
  const near = (p) => walk.some((k) => Math.hypot(...p.map((x, axis) => x - positions[k][axis])) < 4);
  return new Set(positions.map((_, k) => k).filter((k) => near(positions[k])));
}

function showWalk() {
  const { atoms, r } = frame().walks;
  const width = room(byId("walk-drawing"), 520), height = Math.round(0.85 * width);
  const svg = canvas(byId("walk-drawing"), width, height, "The selected walk on the molecule");
  const defs = shape("defs");
  for (const kind of ["down", "up"]) {
    defs.append(shape("marker", { id: `head-${kind}`, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 9, markerHeight: 9,
      markerUnits: "userSpaceOnUse", orient: "auto" }, shape("path", { d: "M0 0L8 4L0 8z", class: `head ${kind}` })));
  }
  svg.append(defs);
  const only = atoms.length && state.walk !== null && frame().symbols.length > 60 ? around(atoms[Math.min(state.walk, atoms.length - 1)]) : null;
  const { at, layers, radius } = molecule(svg, { width, height, margin: narrow(width) ? 44 : 56, radius: 13, only });
  const centre = [width / 2, height / 2], largest = Math.abs(r[0] ?? 1);
  svg.append(layers.terms); // arrows lie over the atoms
  const list = state.walk === null ? atoms.map((_, k) => k).reverse() : [Math.min(state.walk, atoms.length - 1)];
  for (const k of list) {
    if (k < 0) continue;
    const lineWidth = state.walk === null ? 0.6 + 3.2 * Math.abs(r[k] / largest) : 2.6;
    drawWalk(layers.terms, at, radius, atoms[k], { kind: tone(r[k]), width: lineWidth, centre, numbered: state.walk !== null });
  }
  document.querySelectorAll("#walk-rows tr").forEach((row) => pressed(row, Number(row.dataset.walk) === state.walk && state.walk !== null));
  byId("all-walks").textContent = state.walk === null ? "show one walk" : "show all listed walks at once";
  byId("walk-name").textContent = state.walk === null ? `all ${atoms.length} listed walks, width by strength`
    : atoms.length ? `${atoms[list[0]].map(label).join(" \u2192 ")}: ${withUnit(r[list[0]])}` : "no walk";
}

function atomShares() {
  const { shares, oneBody, symbols } = frame();
  const kinds = [["readout", "reads out"], ["start", "starts"], ["passage", "passes on"], ["one", "one-body term"]];
  const values = { ...shares, one: oneBody };
  const weight = symbols.map((_, k) => Math.max(...kinds.map(([kind]) => Math.abs(values[kind][k]))));
  let atoms = symbols.map((_, k) => k);
  if (atoms.length > 60) atoms = atoms.sort((a, b) => weight[b] - weight[a]).slice(0, 60).sort((a, b) => a - b);
  byId("atoms-note").textContent = atoms.length < symbols.length
    ? ` Only the ${atoms.length} atoms with the largest shares of ${symbols.length} are shown.` : "";
  const width = room(byId("atom-shares"), 960);
  const [rowHeight, left, right, top] = [atoms.length > 30 ? 15 : 20, narrow(width) ? 38 : 60, 20, 6];
  const bottom = top + rowHeight * atoms.length;
  const svg = canvas(byId("atom-shares"), width, bottom + 40, "Shares of every atom");
  const all = atoms.flatMap((k) => kinds.map(([kind]) => values[kind][k] * factor()));
  const low = Math.min(0, ...all), high = Math.max(0, ...all), pad = 0.03 * (high - low || 1);
  const x = (v) => left + ((v - low + pad) / (high - low + 2 * pad)) * (width - left - right);
  for (const t of ticks(low, high, narrow(width) ? 3 : 7)) {
    svg.append(line(x(t), top, x(t), bottom, { class: "grid" }), text(x(t), bottom + 15, tickText(t), { class: "tick middle" }));
  }
  svg.append(line(x(0), top, x(0), bottom, { class: "axis" }),
    text((left + width - right) / 2, bottom + 34, `share of prediction ${MINUS} constant part, ${state.unit}`, { class: "axis-name middle" }));
  atoms.forEach((k, row) => {
    const y = top + (row + 0.5) * rowHeight;
    const group = shape("g", {}, shape("rect", { x: 0, y: y - rowHeight / 2, width, height: rowHeight, class: "hit" }),
      text(left - 8, y + 4, label(k), { class: "row-name" }));
    const places = kinds.map(([kind]) => x(values[kind][k] * factor()));
    group.append(line(Math.min(...places), y, Math.max(...places), y, { class: "rail" }));
    kinds.forEach(([kind], s) => group.append(glyph(kind, places[s], y)));
    note(group, () => [label(k), ...kinds.map(([kind, name]) => `${name}: ${withUnit(values[kind][k])}`)]);
    group.classList.add("clickable", "atom-row");
    group.dataset.atom = k;
    group.addEventListener("click", () => chooseAtom(k));
    svg.append(group);
  });
  markAtomRow();
}
function markAtomRow() {
  document.querySelectorAll(".atom-row").forEach((row) => row.classList.toggle("lit", Number(row.dataset.atom) === state.atom));
}
function glyph(kind, x, y) {
  if (kind === "start") return shape("circle", { cx: x, cy: y, r: 4.2, class: "glyph hollow" });
  if (kind === "passage") return shape("rect", { x: x - 3.6, y: y - 3.6, width: 7.2, height: 7.2, class: "glyph quiet" });
  if (kind === "one") return shape("path", { d: `M${x} ${y - 5.5}V${y + 5.5}`, class: "glyph tickmark" });
  return shape("circle", { cx: x, cy: y, r: 4.2, class: "glyph full" });
}
