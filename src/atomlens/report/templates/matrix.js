// Heat maps of signed terms: atoms against atoms, groups against groups.
const LARGEST_MATRIX = 90; // atoms; beyond, the strongest ones are picked

const shade = (value, largest) => Math.sqrt(Math.abs(value) / (largest || 1)); // weak terms stay visible

function heatMap(host, { names, cells, largest, title, size, margin, diagonal, choose = null }) {
  const n = names.length;
  const side = Math.max(5, Math.min(58, Math.min(size, room(host, 2 * size) - margin - 12) / n));
  const scaleWidth = Math.max(130, Math.min(240, n * side));
  const width = margin + Math.max(n * side + 12, scaleWidth + 40), height = margin + n * side + 44;
  const svg = canvas(host, width, height, title);
  const letters = Math.max(6, Math.min(12, 0.55 * side + 2));
  const skip = side < 9 ? 2 : 1;
  names.forEach((name, k) => {
    if (k % skip) return;
    const middle = margin + (k + 0.5) * side;
    const names = [text(margin - 6, middle + letters / 3, name, { class: "row-name", style: `font-size: ${letters}px` }),
      text(0, 0, name, { class: "tick", style: `font-size: ${letters}px`,
        transform: `translate(${middle + letters / 3} ${margin - 6}) rotate(-90)` })];
    if (choose) names.forEach((title) => { title.classList.add("clickable"); title.addEventListener("click", () => choose(k)); });
    svg.append(...names);
  });
  svg.append(shape("rect", { x: margin, y: margin, width: n * side, height: n * side, class: "field" }));
  if (!diagonal) {
    for (let k = 0; k < n; k++) {
      svg.append(shape("circle", { cx: margin + (k + 0.5) * side, cy: margin + (k + 0.5) * side, r: Math.min(1.5, side / 6), class: "dot" }));
    }
  }
  const drawn = [], frames = [shape("rect", { class: "frame" }), shape("rect", { class: "frame" })];
  const mark = (k) => frames.forEach((rect, axis) => {
    rect.toggleAttribute("hidden", k === null || k < 0);
    if (k === null || k < 0) return;
    const across = axis === 0;
    fill(rect, { x: margin + (across ? 0 : k * side), y: margin + (across ? k * side : 0),
      width: across ? n * side : side, height: across ? side : n * side }, []);
  });
  for (const { row, column, value, hover, pair } of cells) {
    const cell = shape("rect", { x: margin + column * side, y: margin + row * side, width: side, height: side,
      class: `cell ${tone(value)}`, "fill-opacity": shade(value, largest).toFixed(3) });
    hover(cell);
    svg.append(cell);
    drawn.push({ cell, pair });
  }
  mark(null);
  svg.append(...frames);
  legend(svg, margin, margin + n * side + 14, scaleWidth, largest);
  return { drawn, mark };
}

function legend(svg, x, y, width, largest) {
  const steps = 40;
  for (let k = 0; k < steps; k++) {
    const value = (2 * (k + 0.5)) / steps - 1;
    svg.append(shape("rect", { x: x + (k * width) / steps, y, width: width / steps + 0.5, height: 8,
      class: `cell ${tone(value)}`, "fill-opacity": Math.abs(value).toFixed(3) }));
  }
  for (const [position, value] of width < 200 ? [[0, -1], [0.5, 0], [1, 1]] : [[0, -1], [0.25, -0.25], [0.5, 0], [0.75, 0.25], [1, 1]]) {
    svg.append(text(x + position * width, y + 22, amount(value * largest, value !== 0), { class: "tick middle" }));
  }
  svg.append(text(x + width + 8, y + 8, state.unit, { class: "tick" }));
}

let matrix = { drawn: [], mark: () => {}, atoms: [] };
function atomMatrix() {
  const { pairs, symbols } = frame();
  if (!pairs) return;
  let atoms = symbols.map((_, k) => k);
  if (atoms.length > LARGEST_MATRIX) {
    const weight = new Float64Array(symbols.length);
    pairs.r.forEach((r, k) => { weight[pairs.i[k]] += Math.abs(r); weight[pairs.j[k]] += Math.abs(r); });
    atoms = atoms.sort((a, b) => weight[b] - weight[a]).slice(0, LARGEST_MATRIX).sort((a, b) => a - b);
  }
  const place = new Map(atoms.map((atom, k) => [atom, k]));
  const cells = [];
  pairs.r.forEach((value, k) => {
    const [a, b] = [place.get(pairs.i[k]), place.get(pairs.j[k])];
    if (a === undefined || b === undefined) return;
    const hover = (cell) => hoverPair(cell, k);
    cells.push({ row: a, column: b, value, hover, pair: k }, { row: b, column: a, value, hover, pair: k });
  });
  byId("matrix-note").textContent = atoms.length < symbols.length
    ? ` Only the ${atoms.length} atoms with the strongest pair terms of ${symbols.length} are shown.` : "";
  matrix = { atoms, ...heatMap(byId("matrix"), { names: atoms.map(label), cells, largest: Math.abs(pairs.r[0] ?? 1),
    title: "Pair terms of all atoms", size: 520, margin: 40, choose: (k) => chooseAtom(atoms[k]) }) };
  markMatrix();
}
function markMatrix() {
  for (const { cell, pair } of matrix.drawn) cell.classList.toggle("lit", pair === markedPair());
  matrix.mark(state.atom === null ? null : matrix.atoms.indexOf(state.atom));
}

function groupMatrix() {
  const groups = frame().groups;
  byId("groups").hidden = !groups;
  if (!groups) return;
  const n = groups.names.length, cells = [];
  let largest = 0;
  groups.matrix.forEach((row, a) => row.forEach((value, b) => {
    if (value === 0) return;
    if (a !== b) largest = Math.max(largest, Math.abs(value));
    const title = a === b ? `within ${groups.names[a]}` : `${groups.names[a]} \u2013 ${groups.names[b]}`;
    const hover = (cell) => note(cell, () => [title, withUnit(value),
      ...(a === b ? [`${groups.members[a].length} atoms; all terms inside the group`] : ["all terms of these two groups alone"])]);
    cells.push({ row: a, column: b, value, hover, diagonal: a === b });
  }));
  // Terms inside a group are larger by their nature: they get their own column instead of the colours.
  const longest = Math.max(...groups.names.map((name) => name.length));
  byId("group-matrix").hidden = n < 2;
  heatMap(byId("group-matrix"), { names: groups.names.map((name) => (name.length > 22 ? `${name.slice(0, 21)}\u2026` : name)),
    cells: cells.filter((cell) => !cell.diagonal), largest, title: "Terms between groups", size: 380,
    margin: Math.min(170, 24 + 6.5 * Math.min(longest, 22)), diagonal: false });
  const others = (k) => groups.matrix[k].reduce((sum, v, j) => (j === k ? sum : sum + v), 0);
  const rows = groups.names.map((name, k) => node("tr", {}, node("td", {}, name), numberCell(groups.members[k].length),
    numberCell(groups.matrix[k][k], amount(groups.matrix[k][k]), tone(groups.matrix[k][k])),
    numberCell(others(k), amount(others(k)))));
  fillRows("group-rows", rows);
  const whole = Math.max(...groups.matrix.flat().map(Math.abs));
  byId("group-rest").textContent = (Math.abs(groups.remainder) < 1e-9 * whole ? "none" : withUnit(groups.remainder)) +
    (groups.total > n ? `; ${groups.total - n} of ${groups.total} groups are left out here, the tables hold all` : "");
}
