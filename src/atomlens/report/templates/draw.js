// Small helpers that make SVG and HTML nodes. Text always goes in as text, never as markup.
const byId = (id) => document.getElementById(id);

function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  return fill(element, attributes, children);
}
function shape(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  return fill(element, attributes, children);
}
function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  for (const child of children) element.append(child);
  return element;
}
// Width of a chart: as wide as it wants to be, or as its place allows. A hidden place has no width yet.
const room = (host, wanted) => Math.max(260, Math.min(wanted, host.clientWidth || wanted));
const narrow = (width) => width < 480;

function canvas(host, width, height, title) {
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  svg.style.maxWidth = `${width}px`;
  host.replaceChildren(svg);
  return svg;
}
const text = (x, y, content, attributes = {}) => shape("text", { x, y, ...attributes }, content);
const line = (x1, y1, x2, y2, attributes = {}) => shape("line", { x1, y1, x2, y2, ...attributes });

// One floating note for the whole page, next to the pointer. `lines` gives its text when it is needed.
const tip = {
  place(event) {
    const box = byId("tip").getBoundingClientRect();
    const x = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
    const y = event.clientY + box.height + 24 > window.innerHeight ? event.clientY - box.height - 12 : event.clientY + 14;
    byId("tip").style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
  },
  show(event, [head, ...rest]) {
    byId("tip").replaceChildren(node("strong", {}, head), ...rest.map((entry) => node("div", {}, entry)));
    byId("tip").hidden = false;
    tip.place(event);
  },
  hide() { byId("tip").hidden = true; },
};
function note(element, lines, enter = () => {}, leave = () => {}) {
  element.addEventListener("mouseenter", (event) => { tip.show(event, lines()); enter(); });
  element.addEventListener("mousemove", tip.place);
  element.addEventListener("mouseleave", () => { tip.hide(); leave(); });
}

// Round tick positions that cover [low, high].
function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * unit).find((s) => s >= rough);
  const result = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * step; t += step) result.push(Math.abs(t) < 1e-12 ? 0 : t);
  return result;
}

// The molecule in the plane of the page: bonds, atoms, and a function from atom to place.
// `only` limits it to some atoms, `of` names another frame than the chosen one.
function molecule(svg, { width, height, margin = 30, radius = 10, only = null, of = frame() }) {
  const { positions, bonds, symbols } = of;
  const drawn = (k) => !only || only.has(k);
  const xs = positions.map((p) => p[0]), ys = positions.map((p) => p[1]);
  const ends = (values) => [Math.min, Math.max].map((pick) => pick(...values.filter((_, k) => drawn(k))));
  const [[x0, x1], [y0, y1]] = [ends(xs), ends(ys)];
  const scale = Math.min((width - 2 * margin) / Math.max(x1 - x0, 0.5), (height - 2 * margin) / Math.max(y1 - y0, 0.5), 95);
  const at = (k) => [width / 2 + scale * (xs[k] - (x0 + x1) / 2), height / 2 - scale * (ys[k] - (y0 + y1) / 2)];
  const layers = { bonds: shape("g"), terms: shape("g"), atoms: shape("g") };
  svg.append(layers.bonds, layers.terms, layers.atoms);
  for (const [i, j, order] of bonds.filter(([i, j]) => drawn(i) && drawn(j))) {
    const [a, b] = [at(i), at(j)];
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    const [nx, ny] = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
    const offsets = { 1: [0], 1.5: [-2, 2], 2: [-2, 2], 3: [-4, 0, 4] }[order] ?? [0];
    offsets.forEach((o, side) => layers.bonds.append(line(a[0] + o * nx, a[1] + o * ny, b[0] + o * nx, b[1] + o * ny,
      { class: order === 1.5 && side ? "bond dashed" : "bond" })));
  }
  const small = Math.max(4.5, Math.min(radius, 0.36 * scale));
  symbols.forEach((symbol, k) => {
    if (!drawn(k)) return;
    const [x, y] = at(k);
    layers.atoms.append(shape("circle", { cx: x, cy: y, r: symbol === "H" ? 0.82 * small : small, class: "atom" }),
      text(x, y + 0.36 * small, symbol, { class: "atom-name", "font-size": `${(symbol === "H" ? 0.95 : 1.15) * small}px` }));
    if (symbols.length <= 60 || only) {
      layers.atoms.append(text(x + 0.75 * small, y + 1.35 * small, k, { class: "atom-index" }));
    }
  });
  return { at, layers, radius: small, scale };
}
