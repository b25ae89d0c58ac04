// Data, the reader's choices, and how numbers are written. Everything else reads from here.
const DATA = JSON.parse(document.getElementById("atomlens-data").textContent);
const MINUS = "\u2212";
const FACTORS = { eV: 1, meV: 1000, "kcal/mol": 23.060548, "kJ/mol": 96.485332 };

const state = {
  frame: 0, // position in DATA.frames
  unit: DATA.unit,
  threshold: 0, // smallest strength of a pair that is drawn, in DATA.unit
  relations: new Set(DATA.vocabulary.relations.map((_, k) => k)),
  pair: null, // pair under the pointer, as its number in frame.pairs
  chosenPair: null, // pair that was clicked; stays marked
  atom: null, // atom that was clicked
  only: false, // show the pairs of that atom alone
  arrows: "none", // forces, or pair forces on that atom
  walk: 0, // selected walk; null: all listed walks at once
  colour: "relation",
};

const frame = () => DATA.frames[state.frame];
const pageName = () => frame().name;
const listeners = { frame: [], unit: [], shown: [], pair: [], atom: [], walk: [], colour: [], arrows: [] };
// Run everything that listens to a kind of change.
const changed = (...kinds) => kinds.forEach((kind) => listeners[kind].forEach((run) => run()));
const on = (kinds, run) => kinds.split(" ").forEach((kind) => listeners[kind].push(run));

const factor = () => (DATA.unit === "eV" ? FACTORS[state.unit] : 1);

function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e6 || size < 5e-5) return null;
  if (size >= 100) return value.toFixed(1);
  if (size >= 10) return value.toFixed(2);
  if (size >= 0.1) return value.toFixed(3);
  return value.toFixed(size >= 0.001 ? 4 : 5);
}

function power(value) {
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(1).split("e");
  const raised = { "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074",
    5: "\u2075", 6: "\u2076", 7: "\u2077", 8: "\u2078", 9: "\u2079" };
  return `${mantissa}\u00b710${[...exponent.replace("+", "")].map((c) => raised[c]).join("")}`;
}

// A number as text, without a unit; `signed` writes the plus as well.
function plain(value, signed = false) {
  const text = (digits(value) ?? power(value)).replace("-", MINUS);
  return signed && value > 0 ? `+${text}` : text;
}
// An amount of the predicted property, converted to the unit the reader chose.
const amount = (value, signed = true) => plain(value * factor(), signed);
const withUnit = (value, signed = true) => `${amount(value, signed)} ${state.unit}`;
const angstrom = (value) => `${value.toFixed(2)} \u00c5`;
const percent = (share) => (share > 0 && share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
const tickText = (value) => plain(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
// A formula with its numbers below the line.
const formula = (name) => name.split(/(\d+)/).filter(Boolean).map((part) => (/^\d+$/.test(part) ? node("sub", {}, part) : part));
const tone = (value) => (value < 0 ? "down" : "up");

const label = (k) => `${frame().symbols[k]}${k}`;
const pairName = (k) => `${label(frame().pairs.i[k])}\u2013${label(frame().pairs.j[k])}`;
const relationName = (k) => DATA.vocabulary.relations[frame().pairs.relation[k]];
const bondName = (k) => {
  const name = DATA.vocabulary.bonds[frame().pairs.bond[k]];
  return { none: "not bonded", unknown: "bonded, order unknown" }[name] ?? `${name} bond`;
};
const markedPair = () => state.pair ?? state.chosenPair;
const touches = (k, atom) => frame().pairs.i[k] === atom || frame().pairs.j[k] === atom;
// A pair is marked if it was pointed at or clicked, or if one of its atoms was clicked.
const isMarked = (k) => k === markedPair() || (state.atom !== null && touches(k, state.atom));

// The pairs that pass the reader's filters, strongest first.
function shownPairs() {
  const pairs = frame().pairs;
  if (!pairs) return [];
  const kept = [];
  for (let k = 0; k < pairs.r.length && Math.abs(pairs.r[k]) >= state.threshold; k++) {
    if (state.only && state.atom !== null && !touches(k, state.atom)) continue;
    if (state.relations.has(pairs.relation[k])) kept.push(k);
  }
  return kept;
}
