// The prediction as a sum: an equation, a waterfall, and bars by order, bonds and distance.
const ORDERS = ["", "single atoms", "pairs", "triples"];
const biggerName = () => `${frame().orders.length + 1} or more atoms`;

function orderRows() {
  const rows = frame().orders.map((total, k) => ({ ...total, name: ORDERS[k + 1] }));
  return [...rows, { name: biggerName(), total: frame().remainder, strength: null, count: null }];
}

function equation() {
  const f = frame();
  const part = (kind, name, value, digits) =>
    node("div", { class: `part ${kind}` }, node("span", { class: "value" }, digits), node("span", { class: "name" }, name));
  const fixed = (value) => (value * factor()).toFixed(4).replace("-", MINUS);
  const parts = [part("whole", `${DATA.property} (${state.unit})`, f.prediction, fixed(f.prediction)),
    node("span", { class: "sign" }, "="), part("", "constant part", f.constant, fixed(f.constant))];
  for (const row of orderRows()) {
    parts.push(node("span", { class: "sign" }, row.total < 0 ? MINUS : "+"),
      part(tone(row.total), row.name, row.total, fixed(Math.abs(row.total))));
  }
  byId("equation").replaceChildren(...parts);
  byId("residual").textContent = `${power(Math.abs(f.residual * factor()))} ${state.unit}`;
}

function waterfall() {
  const rows = orderRows();
  const width = room(byId("waterfall"), 960), tight = narrow(width);
  const [rowHeight, left, right, top] = [34, tight ? 104 : 150, tight ? 58 : 110, 8];
  const height = top + rowHeight * (rows.length + 1) + 34;
  const svg = canvas(byId("waterfall"), width, height, "Contribution of every order of terms to the prediction");
  let sum = 0;
  const steps = rows.map((row) => ({ ...row, from: sum, to: (sum += row.total) }));
  const edges = [0, sum, ...steps.flatMap((s) => [s.from, s.to])].map((v) => v * factor());
  const [low, high] = [Math.min(...edges), Math.max(...edges)];
  const span = high - low || 1;
  const x = (v) => left + ((v * factor() - low) / span) * (width - left - right);
  const bottom = top + rowHeight * (rows.length + 1);
  for (const t of ticks(low, high, tight ? 3 : 6)) {
    svg.append(line(x(t / factor()), top, x(t / factor()), bottom, { class: "grid" }),
      text(x(t / factor()), bottom + 16, tickText(t), { class: "tick middle" }));
  }
  svg.append(line(x(0), top, x(0), bottom, { class: "axis" }));
  svg.append(text((left + width - right) / 2, bottom + 32, `prediction ${MINUS} constant part, ${state.unit}`, { class: "axis-name middle" }));
  steps.forEach((step, k) => {
    const y = top + k * rowHeight;
    const [a, b] = [x(step.from), x(step.to)].sort((p, q) => p - q);
    const bar = shape("rect", { x: a, y: y + 6, width: Math.max(b - a, 1), height: rowHeight - 12, class: `bar ${tone(step.total)}` });
    svg.append(text(left - 10, y + 21, step.name, { class: "row-name" }), bar,
      text(b + 6, y + 21, amount(step.total), { class: `row-value ${tone(step.total)}` }),
      line(x(step.to), y + rowHeight - 6, x(step.to), y + rowHeight + 6, { class: "link" }));
    note(bar, () => [step.name, `together ${withUnit(step.total)}`,
      ...(step.count ? [`${step.count} terms, summed strength ${withUnit(step.strength, false)}`] : [])]);
  });
  const y = top + rows.length * rowHeight;
  const [a, b] = [x(0), x(sum)].sort((p, q) => p - q);
  svg.append(text(left - 10, y + 21, "together", { class: "row-name strong" }),
    shape("rect", { x: a, y: y + 6, width: Math.max(b - a, 1), height: rowHeight - 12, class: "bar total" }),
    text(b + 6, y + 21, amount(sum), { class: "row-value" }));
}

// Rows of bars to both sides of zero: what lowers the prediction, what raises it, and a tick at the net sum.
function twoSided(host, rows, title, { rowHeight = 26 } = {}) {
  const width = room(host, 560), tight = narrow(width);
  const nameWidth = tight ? 100 : 120, right = tight ? 62 : 130, top = 4, bottom = top + rowHeight * rows.length;
  const svg = canvas(host, width, bottom + 38, title);
  const sides = rows.map((row) => row.strength === null ? [Math.min(row.total, 0), Math.max(row.total, 0)]
    : [(row.total - row.strength) / 2, (row.total + row.strength) / 2]);
  const low = Math.min(0, ...sides.map((s) => s[0])), high = Math.max(0, ...sides.map((s) => s[1]));
  const x = (v) => nameWidth + ((v - low) / (high - low || 1)) * (width - nameWidth - right);
  for (const t of ticks(low * factor(), high * factor(), tight ? 2 : 4)) {
    svg.append(line(x(t / factor()), top, x(t / factor()), bottom, { class: "grid" }),
      text(x(t / factor()), bottom + 14, tickText(t), { class: "tick middle" }));
  }
  svg.append(text(x((low + high) / 2), bottom + 31, `sum of terms, ${state.unit}`, { class: "axis-name middle" }));
  rows.forEach((row, k) => {
    const y = top + k * rowHeight, [down, up] = sides[k];
    const group = shape("g", {}, shape("rect", { x: 0, y, width, height: rowHeight, class: "hit" }),
      text(nameWidth - 8, y + rowHeight / 2 + 4, row.name, { class: "row-name" }));
    if (down < 0) group.append(shape("rect", { x: x(down), y: y + 4, width: x(0) - x(down), height: rowHeight - 8, class: "bar down" }));
    if (up > 0) group.append(shape("rect", { x: x(0), y: y + 4, width: x(up) - x(0), height: rowHeight - 8, class: "bar up" }));
    if (row.strength !== null && row.count > 0) {
      group.append(line(x(row.total), y + 1, x(row.total), y + rowHeight - 1, { class: "net" }));
    }
    const value = row.count === 0 ? "none" : row.strength === null ? `${tight ? "" : "net only "}${amount(row.total)}`
      : tight ? percent(row.share) : `${percent(row.share)}  net ${amount(row.total)}`;
    group.append(text(width - right + 10, y + rowHeight / 2 + 4, value, { class: "row-value quiet" }));
    note(group, () => [row.name, ...(row.strength === null ? [] : [`${row.count} terms`,
      `lowering ${withUnit(down)}, raising ${withUnit(up)}`, `strength ${withUnit(row.strength, false)}`]),
      `net ${withUnit(row.total)}`]);
    svg.append(group);
  });
  svg.append(line(x(0), top, x(0), bottom, { class: "axis" }));
}

function bars() {
  twoSided(byId("by-order"), orderRows(), "Strength by order");
  if (!frame().pairs) return;
  twoSided(byId("by-relation"), frame().relations.filter((row) => row.count > 0), "Strength of pairs by the bonds between them");
  const first = frame().ranges.findIndex((row) => row.count > 0);
  const rows = frame().ranges.slice(first).map((row) => ({ ...row, name: `${row.name.replace("-", "\u2013")} \u00c5` }));
  twoSided(byId("by-range"), rows, "Strength of pairs by distance", { rowHeight: rows.length > 14 ? 18 : 22 });
}

// The atom that is bonded to both others in the middle, where there is exactly one: C0-C5-O6 reads as a path.
function asPath(atoms) {
  const bonded = (a, b) => frame().bonds.some(([i, j]) => (i === a && j === b) || (i === b && j === a));
  const centres = atoms.filter((a) => atoms.every((b) => a === b || bonded(a, b)));
  if (centres.length !== 1) return atoms;
  const [first, last] = atoms.filter((a) => a !== centres[0]);
  return [first, centres[0], last];
}

function listTriples() {
  const triples = frame().triples;
  if (!triples) return;
  const rows = triples.r.slice(0, 12).map((r, k) => node("tr", {}, node("td", {}, asPath(triples.atoms[k]).map(label).join("\u2013")),
    numberCell(r, amount(r), tone(r)), numberCell(triples.range[k], triples.range[k].toFixed(2)),
    node("td", {}, DATA.vocabulary.relations[triples.span[k]])));
  fillRows("triple-rows", rows);
  byId("triple-count").textContent = `${Math.min(12, triples.r.length)} strongest of ${triples.total}`;
}

// The main findings in words.
function reading() {
  const f = frame(), pairs = f.pairs;
  const sentences = [];
  if (pairs && pairs.r.length) {
    const strongest = (sign) => pairs.r.findIndex((r) => Math.sign(r) === sign);
    for (const [sign, verb] of [[-1, "lowering"], [1, "raising"]]) {
      const k = strongest(sign);
      if (k >= 0) sentences.push(`The strongest pair ${verb} the ${DATA.property} is ${pairName(k)} (${withUnit(pairs.r[k])}, ${angstrom(pairs.d[k])}, ${bondName(k)}).`);
    }
    const bonded = f.relations[0];
    if (bonded.count) sentences.push(`Bonded pairs carry ${percent(bonded.share)} of the summed strength of all pairs.`);
    let sum = 0, half = null;
    const all = f.ranges.reduce((total, row) => total + row.strength, 0);
    for (const row of f.ranges) {
      sum += row.strength;
      if (half === null && sum >= 0.95 * all) half = row.name.split("-")[1];
    }
    if (all && half) sentences.push(`Pairs closer than ${half} \u00c5 carry 95 % of it.`);
  }
  if (f.longRange?.length) {
    const parts = f.longRange.map(([kind, sum]) => `${kind} ${withUnit(sum)}`).join(", ");
    sentences.push(`Pairs hold long-range energies, which no message carries: ${parts}.`);
  }
  byId("reading").textContent = sentences.join(" ");
}
