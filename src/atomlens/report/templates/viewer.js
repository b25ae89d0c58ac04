// The three-dimensional view: chemiscope's molecule viewer, with pair terms as cylinders.
const viewer = { box: null, structure: null, settings: {}, waiting: false };
const SHOWN_AT_MOST = 600; // cylinders; more would only hide each other

// Radius in Å; proportional to the strength, but never too thin to be seen.
const thickness = (value, scale) => Math.max(0.02, (0.2 * Math.abs(value)) / scale);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const vectors = (list) => ({ vectors: list.map((c) => c.vector), bases: list.map((c) => c.base),
  radii: list.map((c) => c.radius), colors: list.map((c) => c.color) });

function cylinder(k, scale) {
  const { i, j, r, v } = frame().pairs;
  const base = frame().positions[i[k]], end = frame().positions[j[k]];
  const vector = v ? v[k] : end.map((x, axis) => x - base[axis]);
  const radius = Math.max(thickness(r[k], scale), frame().pairs.relation[k] === 0 ? 0.045 : 0); // around its bond
  return { base, vector, radius, color: css(r[k] < 0 ? "--down" : "--up") };
}

function skeleton() {
  const bonds = frame().bonds.map(([i, j]) => {
    const base = frame().positions[i];
    return { base, vector: frame().positions[j].map((x, axis) => x - base[axis]), radius: 0.03, color: css("--bond") };
  });
  return [...bonds, ...cellEdges()];
}

function cellEdges() {
  if (!frame().cell) return [];
  const { edges, corner } = frame().cell;
  const list = [];
  edges.forEach((vector, axis) => {
    const [a, b] = edges.filter((_, other) => other !== axis);
    for (const [m, n] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      list.push({ base: corner.map((x, c) => x + m * a[c] + n * b[c]), vector, radius: 0.03, color: css("--faint") });
    }
  });
  return list.filter(({ vector }) => Math.hypot(...vector) > 0);
}

function cylinders() {
  const shown = shownPairs().slice(0, SHOWN_AT_MOST);
  const scale = frame().pairs ? Math.abs(frame().pairs.r[0] ?? 1) : 1;
  const list = [...skeleton(), ...shown.map((k) => cylinder(k, scale))];
  if (markedPair() !== null) {
    const lit = cylinder(markedPair(), scale);
    list.push({ ...lit, radius: lit.radius + 0.05, color: css("--lit") });
  }
  list.push(...arrows());
  return state.atom === null ? list : [...list, ...cage(frame().positions[state.atom])];
}

// Three rings around an atom: seen from every side, and they hide nothing.
function cage(centre, radius = 0.58, steps = 28) {
  const list = [];
  for (const [a, b] of [[0, 1], [1, 2], [2, 0]]) {
    const at = (k) => {
      const point = [...centre], angle = (2 * Math.PI * k) / steps;
      point[a] += radius * Math.cos(angle);
      point[b] += radius * Math.sin(angle);
      return point;
    };
    for (let k = 0; k < steps; k++) {
      const base = at(k);
      list.push({ base, vector: at(k + 1).map((x, axis) => x - base[axis]), radius: 0.022, color: css("--lit") });
    }
  }
  return list;
}

function showViewer() {
  const host = byId("viewer");
  try {
    const warnings = new Chemiscope.Warnings();
    warnings.addHandler(() => {});
    // The viewer copies the style sheets of its surroundings. Its own settings dialog is not wanted here: the
    // controls beside it say more, and without chemiscope's page around it the dialog has no style.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(".chemiscope-modal, .chsp-viewer-button { display: none !important; }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    viewer.box = new Chemiscope.MoleculeViewer(host, [], warnings);
    loadStructure();
    host.addEventListener("dblclick", () => requestAnimationFrame(() => viewer.box.applySettings({ camera: fittingCamera() })));
    host.dataset.ready = "yes";
  } catch (error) {
    // No WebGL: the flat drawing takes its place, with the same colours.
    viewer.box = null;
    host.dataset.ready = "flat";
    host.replaceChildren(node("div", { id: "flat", class: "flat" }));
    flatView(byId("flat"), 620, 460);
  }
}

function loadStructure() {
  const { symbols, positions } = frame();
  const axis = (n) => positions.map((p) => p[n]);
  viewer.structure = { size: symbols.length, names: symbols.map((_, k) => label(k)), elements: symbols,
    x: axis(0), y: axis(1), z: axis(2), bonds: [],
    shapes: { pairs: { kind: "cylinders", parameters: { global: vectors(cylinders()) } } } };
  viewer.settings = { bonds: false, shape: "pairs", atomLabels: byId("show-labels").checked };
  viewer.box.load(viewer.structure, undefined, {});
  viewer.box.applySettings({ ...viewer.settings, camera: fittingCamera() });
}

// The camera from which the structure fills the view. Chemiscope's zoom is a position on an axis on which 150 is the
// eye; what stands D in front of it is magnified by 1.7667 (height of the view) / D.
function fittingCamera() {
  const host = byId("viewer");
  const half = (axis) => Math.max(...frame().positions.map((p) => Math.abs(p[axis]))) + 0.9;
  const scale = Math.min(host.clientWidth / (2 * half(0)), host.clientHeight / (2 * half(1)), 90);
  const zoom = 150 - (1.7667 * host.clientHeight) / scale;
  return { center: { x: 0, y: 0, z: 0 }, eye: { x: 0, y: 0, z: zoom }, up: { x: 0, y: 1, z: 0 }, zoom };
}

function updateViewer() {
  if (viewer.waiting) return;
  viewer.waiting = true;
  requestAnimationFrame(() => {
    viewer.waiting = false;
    if (!viewer.box) return byId("flat") && flatView(byId("flat"), 620, 460);
    const list = cylinders();
    viewer.structure.shapes.pairs.parameters.global = vectors(list);
    viewer.settings.atomLabels = byId("show-labels").checked;
    viewer.box.applySettings({ ...viewer.settings, shape: list.length ? "pairs" : "" });
  });
}

// The same picture in two dimensions: for print, and where there is no WebGL.
function flatView(host, width, height) {
  const svg = canvas(host, width, height, "Pair terms on the molecule, seen from one side");
  const { at, layers } = molecule(svg, { width, height, radius: 12 });
  const shown = shownPairs().slice(0, SHOWN_AT_MOST).reverse();
  const scale = frame().pairs ? Math.abs(frame().pairs.r[0] ?? 1) : 1;
  for (const k of shown) {
    const [a, b] = [at(frame().pairs.i[k]), at(frame().pairs.j[k])];
    const width = 70 * thickness(frame().pairs.r[k], scale);
    layers.terms.append(line(...a, ...b, { class: `term ${tone(frame().pairs.r[k])}`, "stroke-width": width }));
  }
}

// Controls beside the view: threshold, kinds of pairs, and the list of what is shown.
function buildControls() {
  const slider = byId("threshold");
  slider.addEventListener("input", () => {
    state.threshold = sliderStrength(slider.value / 1000);
    state.moved = true;
    changed("shown");
  });
  byId("show-labels").checked = frame().symbols.length <= 60;
  byId("show-labels").addEventListener("change", updateViewer);
  const host = byId("relations");
  DATA.vocabulary.relations.forEach((name, k) => {
    const box = node("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      if (box.checked) state.relations.add(k);
      else state.relations.delete(k);
      changed("shown");
    });
    host.append(node("label", { "data-relation": k }, box, ` ${name}`));
  });
}

function strengthLimits() {
  const r = frame().pairs?.r ?? [];
  const largest = Math.abs(r[0] ?? 1);
  return [Math.max(Math.abs(r[r.length - 1] ?? largest), largest * 1e-4), largest];
}
function sliderStrength(position) {
  const [low, high] = strengthLimits();
  return position <= 0 ? 0 : low * (high / low) ** position;
}
const sliderPosition = (strength) => {
  const [low, high] = strengthLimits();
  return strength > low && high > low ? Math.floor((1000 * Math.log(strength / low)) / Math.log(high / low)) : 0;
};
function setThreshold(strength) {
  state.threshold = strength;
  state.moved = true;
  byId("threshold").value = sliderPosition(strength);
}
// Start with the fewest pairs that carry four fifths of the strength, and all bonds where these are not many more: a
// threshold between bonds alike would show some of them. But never with a thicket.
function resetThreshold() {
  const r = (frame().pairs?.r ?? []).map(Math.abs);
  const all = r.reduce((a, b) => a + b, 0);
  let sum = 0, count = 0;
  while (count < r.length && sum < 0.8 * all && count < 80) sum += r[count++];
  const lastBond = (frame().pairs?.relation ?? []).lastIndexOf(0);
  if (lastBond >= count && lastBond < Math.min(2 * count, 80)) count = lastBond + 1;
  state.threshold = count >= r.length ? 0 : Math.max(r[count - 1] ?? 0, strengthLimits()[0]);
  byId("threshold").value = sliderPosition(state.threshold);
  if (byId("threshold").value > 0) state.threshold = sliderStrength(byId("threshold").value / 1000);
}

function listPairs() {
  const pairs = frame().pairs;
  if (!pairs) return;
  const shown = shownPairs();
  const strength = (list) => list.reduce((sum, k) => sum + Math.abs(pairs.r[k]), 0);
  const all = strength(pairs.r.map((_, k) => k)) + pairs.leftOut;
  const of = state.only && state.atom !== null ? ` (those of ${label(state.atom)})` : "";
  byId("threshold-value").textContent = state.threshold ? `\u2265 ${withUnit(state.threshold, false)}` : "all listed pairs";
  byId("shown-count").textContent = `${shown.length} of ${pairs.total} pairs${of}, ` +
    `${percent(all ? strength(shown) / all : 0)} of the summed strength` +
    (shown.length > SHOWN_AT_MOST ? `; the ${SHOWN_AT_MOST} strongest are drawn` : "");
  const rows = shown.slice(0, 200).map((k) => {
    const row = node("tr", { "data-pair": k }, node("td", {}, pairName(k)), numberCell(pairs.r[k], amount(pairs.r[k]), tone(pairs.r[k])),
      numberCell(pairs.d[k], pairs.d[k].toFixed(2)), node("td", {}, relationName(k)));
    row.addEventListener("mouseenter", () => pointAt(k));
    row.addEventListener("mouseleave", () => pointAt(null));
    return choosable(row, () => choosePair(k));
  });
  fillRows("pair-rows", rows);
  markRows();
  document.querySelectorAll(".unit").forEach((cell) => (cell.textContent = state.unit));
}
