// Arrows in the three-dimensional view: the force on every atom, or what pulls at the chosen one.
const LONGEST = 1.5; // length of the longest arrow in Å
const SURFACE = 0.3; // how far from its atom an arrow begins, in Å

// Vectors in eV/Å with the place where each begins, and whether it is a sum.
function wantedArrows() {
  const { forces, pairForces, positions } = frame();
  if (state.arrows === "forces" && forces) return forces.map((vector, k) => ({ base: positions[k], vector, sum: true }));
  if (state.arrows !== "pairs" || !pairForces || state.atom === null) return [];
  const parts = pairForces[state.atom].map((vector, j) => ({ base: positions[j], vector, sum: j === state.atom }));
  // At the chosen atom itself: the sum of all of them, which is the force on it.
  return parts.map((part) => (part.sum ? { ...part, vector: forces[state.atom] } : part));
}
const strengthOf = ({ vector }) => Math.hypot(...vector);

function arrows() {
  const list = wantedArrows();
  const largest = Math.max(0, ...list.map(strengthOf));
  if (!largest) return [];
  return list.filter((one) => strengthOf(one) > 0.02 * largest).flatMap((one) => {
    const arrow = one.vector.map((x) => (x * LONGEST) / largest);
    const start = one.base.map((x, c) => x + (SURFACE * one.vector[c]) / strengthOf(one));
    return drawnArrow(start, arrow, css(one.sum ? "--force" : "--lit"));
  });
}
// A shaft, and a head of ever thinner slices.
function drawnArrow(base, vector, color) {
  const length = Math.hypot(...vector), head = Math.min(0.3, 0.5 * length), slices = 6;
  const part = (from, to, radius) => ({ base: base.map((x, c) => x + (from / length) * vector[c]),
    vector: vector.map((x) => (x * (to - from)) / length), radius, color });
  const cone = Array.from({ length: slices }, (_, k) => part(length - head + (k * head) / slices,
    length - head + ((k + 1) * head) / slices, 0.14 * (1 - k / slices)));
  return [part(0, length - head, 0.05), ...cone];
}

// The words beside the choice, which also speak to a screen reader.
function describeArrows() {
  byId("arrows-line").hidden = !frame().forces;
  byId("arrow-choice").value = state.arrows;
  const largest = Math.max(0, ...wantedArrows().map(strengthOf));
  byId("arrow-note").textContent = state.arrows === "pairs" && state.atom === null ? "Click an atom: arrows show what pulls at it."
    : !largest ? ""
    : state.arrows === "forces" ? `Force on each atom; the longest arrow is ${plain(largest)} eV/Å.`
    : `At each other atom: how its energy pulls at ${label(state.atom)}. At ${label(state.atom)}: the sum, which is the force on it. The longest arrow is ${plain(largest)} eV/Å.`;
}
function buildArrows() {
  byId("arrow-choice").addEventListener("change", (event) => { state.arrows = event.target.value; changed("arrows"); });
  describeArrows();
}
