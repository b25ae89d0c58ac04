// What the reader points at and clicks: one pair, one atom. All charts mark the same.
function pointAt(k) {
  if (state.pair === k) return;
  state.pair = k;
  changed("pair");
}
function choosePair(k) {
  state.chosenPair = state.chosenPair === k ? null : k;
  changed("pair");
}
function chooseAtom(k) {
  state.atom = state.atom === k ? null : k;
  if (state.atom === null) state.only = false;
  changed("atom");
}
function chooseNothing() {
  state.chosenPair = state.atom = null;
  state.only = false;
  changed("atom", "pair");
}

// A mark of a pair in a chart: pointing shows its note, a click keeps it marked.
function hoverPair(element, k) {
  note(element, () => pairNote(k), () => pointAt(k), () => pointAt(null));
  element.addEventListener("click", () => choosePair(k));
}
function pairNote(k) {
  const { r, d } = frame().pairs;
  return [pairName(k), withUnit(r[k]), `${angstrom(d[k])}, ${bondName(k)}, ${relationName(k)}`];
}
function atomNote(atom) {
  const { oneBody, pairs } = frame();
  const lines = [label(atom), `one-body term: ${withUnit(oneBody[atom])}`];
  if (!pairs) return lines;
  const mine = pairs.r.map((_, k) => k).filter((k) => touches(k, atom));
  const net = mine.reduce((sum, k) => sum + pairs.r[k], 0);
  lines.push(`${mine.length} pairs, together ${withUnit(net)}`);
  if (mine.length) lines.push(`strongest: ${pairName(mine[0])} ${withUnit(pairs.r[mine[0]])}`);
  return lines;
}

// The words beside the view, which also speak to a screen reader.
function describeSelection() {
  const words = [];
  if (state.atom !== null) words.push(atomNote(state.atom));
  if (state.chosenPair !== null) words.push(pairNote(state.chosenPair));
  byId("selection").replaceChildren(...words.map(([head, ...rest]) => node("p", {}, node("strong", {}, head), ` ${rest.join("; ")}`)));
  byId("clear-selection").hidden = !words.length;
  byId("only-line").hidden = state.atom === null;
  byId("only-atom").checked = state.only;
  byId("atom-choice").value = state.atom ?? "";
}
function listAtoms() {
  byId("atom-choice").replaceChildren(node("option", { value: "" }, "none"),
    ...frame().symbols.map((_, k) => node("option", { value: k }, label(k))));
  describeSelection();
}
function buildSelection() {
  byId("atom-choice").addEventListener("change", (event) => {
    const { value } = event.target;
    state.atom = value === "" ? null : Number(value);
    if (state.atom === null) state.only = false;
    changed("atom");
  });
  byId("only-atom").addEventListener("change", (event) => { state.only = event.target.checked; changed("atom"); });
  byId("clear-selection").addEventListener("click", chooseNothing);
  document.addEventListener("keydown", (event) => event.key === "Escape" && chooseNothing());
}
