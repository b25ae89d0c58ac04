// Strength of pairs against their distance.
const SERIES = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
let distanceDots = [];

function seriesOf() {
  const { pairs, symbols } = frame();
  if (state.colour === "relation") return { names: DATA.vocabulary.relations, of: (k) => pairs.relation[k] };
  if (state.colour === "bond") return { names: DATA.vocabulary.bonds.map((b) => ({ none: "not bonded", unknown: "order unknown" }[b] ?? b)), of: (k) => pairs.bond[k] };
  const kind = (k) => [symbols[pairs.i[k]], symbols[pairs.j[k]]].sort().join("\u2013");
  const strength = new Map();
  pairs.r.forEach((r, k) => strength.set(kind(k), (strength.get(kind(k)) ?? 0) + Math.abs(r)));
  const ranked = [...strength.keys()].sort((a, b) => strength.get(b) - strength.get(a));
  const names = ranked.length > SERIES.length ? [...ranked.slice(0, SERIES.length - 1), "others"] : ranked;
  return { names, of: (k) => { const at = names.indexOf(kind(k)); return at < 0 ? names.length - 1 : at; } };
}

function distanceChart() {
  const pairs = frame().pairs;
  if (!pairs || !pairs.r.length) return;
  const width = room(byId("distance"), 600), [height, left, bottom, top, right] = [narrow(width) ? 340 : 470, 62, 52, 14, 14];
  const svg = canvas(byId("distance"), width, height, "Strength of pair terms against distance");
  const furthest = Math.max(...pairs.d), end = Math.max(furthest * 1.04, 1);
  const x = (d) => left + (d / end) * (width - left - right);
  const strengths = pairs.r.map((r) => Math.abs(r) * factor()).filter((s) => s > 0);
  const high = Math.max(...strengths) * 1.6, low = Math.max(Math.min(...strengths) * 0.7, high * 1e-7);
  const y = (s) => top + (Math.log(high / Math.max(s, low)) / Math.log(high / low)) * (height - top - bottom);
  for (const t of ticks(0, end, 6)) {
    svg.append(line(x(t), top, x(t), height - bottom, { class: "grid" }),
      text(x(t), height - bottom + 17, tickText(t), { class: "tick middle" }));
  }
  for (let e = Math.ceil(Math.log10(low)); e <= Math.log10(high); e++) {
    svg.append(line(left, y(10 ** e), width - right, y(10 ** e), { class: "grid" }),
      text(left - 7, y(10 ** e) + 4, e < -4 || e > 4 ? power(10 ** e).replace("1.0\u00b7", "") : String(10 ** e), { class: "tick end" }));
  }
  svg.append(text((left + width - right) / 2, height - 8, "distance between the two atoms, \u00c5", { class: "axis-name middle" }),
    text(0, 0, `strength |I|, ${state.unit} (logarithmic)`, { class: "axis-name middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)` }));
  const cutoff = DATA.model.cutoff;
  if (cutoff < end) {
    svg.append(line(x(cutoff), top, x(cutoff), height - bottom, { class: "mark" }),
      text(x(cutoff) - 5, top + 10, `cutoff ${angstrom(cutoff)}`, { class: "tick end" }));
  }
  const { names, of } = seriesOf();
  const present = new Set();
  distanceDots = [];
  for (let k = pairs.r.length - 1; k >= 0; k--) {
    if (pairs.r[k] === 0) continue;
    present.add(of(k));
    const dot = shape("circle", { cx: x(pairs.d[k]), cy: y(Math.abs(pairs.r[k]) * factor()), r: 4.5,
      class: `mark-dot ${SERIES[of(k)]} ${pairs.r[k] < 0 ? "full" : "hollow"}` });
    hoverPair(dot, k);
    svg.append(dot);
    distanceDots.push({ dot, pair: k });
  }
  byId("distance-key").replaceChildren(...names.map((name, s) => [name, s]).filter(([, s]) => present.has(s))
    .map(([name, s]) => node("span", { class: "key" }, node("i", { class: `swatch ${SERIES[s]}` }), name)));
  markDistance();
}
function markDistance() {
  for (const { dot, pair } of distanceDots) dot.classList.toggle("lit", isMarked(pair));
}
