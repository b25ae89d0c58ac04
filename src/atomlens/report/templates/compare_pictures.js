// The molecule in the plane of the page with one model's pair terms; the scale of widths is shared by all models.
const SERIES = ["s1", "s2", "s4", "s5", "s6", "s7", "s0"];
const seriesOf = (m) => SERIES[m % SERIES.length];
const strongest = (f) => Math.max(...f.pairs.terms.flatMap((column) => column.map((v) => Math.abs(v ?? 0))), 1e-12);

function picture(host, f, m, { width, height, radius, margin }) {
  const svg = canvas(host, width, height, `Pair terms of ${f.name} in ${DATA.models[m]}`);
  svg.style.maxWidth = "none";
  const { at, layers, scale } = molecule(svg, { width, height, radius, margin, of: f });
  const largest = strongest(f), terms = f.pairs.terms[m];
  for (let k = terms.length - 1; k >= 0; k--) {
    const share = Math.abs(terms[k] ?? 0) / largest;
    if (share < 0.03 || !f.pairs.drawn[k]) continue;
    const [a, b] = [at(f.pairs.i[k]), at(f.pairs.j[k])];
    const bar = line(...a, ...b, { class: `term ${tone(terms[k])}`, "stroke-width": Math.max(0.8, 0.28 * scale * share) });
    note(bar, () => pairLines(f, k));
    layers.terms.append(bar);
  }
}

function pairLines(f, k) {
  const { i, j, d, kind, terms } = f.pairs;
  const name = (atom) => `${f.symbols[atom]}${atom}`;
  return [`${name(i[k])}\u2013${name(j[k])}, ${angstrom(d[k])}, ${kindName(kind[k])}`,
    ...DATA.models.map((model, m) => `${model}: ${terms[m][k] === null ? "beyond its cutoff" : withUnit(terms[m][k])}`)];
}
function kindName(k) {
  const name = DATA.vocabulary.kinds[k];
  return { unknown: "bonded, order unknown", further: "beyond 1-4" }[name] ??
    (DATA.vocabulary.relations.includes(name) ? name : `${name} bond`);
}

const agreementText = (r) => (r === null ? "too few pairs to compare" : `r = ${r.toFixed(3).replace("-", MINUS)}`);

// All molecules as rows, all models as columns.
function glance() {
  const host = byId("glance");
  host.style.setProperty("--models", DATA.models.length);
  const head = node("div", { class: "row" }, node("div"), ...DATA.models.map((name, m) =>
    node("div", { class: `model-name ${seriesOf(m)}` }, name)));
  const rows = DATA.frames.map((f, number) => {
    const agreement = f.agreement.map(([all]) => agreementText(all)).join(", ");
    const row = node("div", { class: "row", tabindex: 0, "data-frame-row": number },
      node("div", { class: "who" }, node("strong", {}, f.name), node("small", {}, ...formula(f.formula)), node("small", {}, agreement)));
    DATA.models.forEach((_, m) => {
      const drawing = node("div");
      row.append(node("div", {}, drawing, node("div", { class: "value", "data-model": DATA.models[m] }, withUnit(f.models[m].prediction - f.models[m].constant))));
      picture(drawing, f, m, { width: 380, height: 210, radius: 9, margin: 20 });
    });
    const go = () => { choose(number); byId("one").scrollIntoView({ behavior: "smooth" }); };
    row.addEventListener("click", go);
    row.addEventListener("keydown", (event) => event.key === "Enter" && go());
    return row;
  });
  host.replaceChildren(head, ...rows);
}
