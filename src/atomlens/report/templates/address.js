// The reader's choices live in the address, after the name of the section: #view?frame=3&unit=meV. A link or a
// bookmark brings the same view back.
const address = { ready: false };

function readAddress() {
  const [section, query = ""] = decodeURIComponent(location.hash.slice(1)).split("?");
  return { section, choices: new URLSearchParams(query) };
}
function takeAddress() {
  const { section, choices } = readAddress();
  const number = (name) => (choices.has(name) && Number.isFinite(Number(choices.get(name))) ? Number(choices.get(name)) : null);
  const index = number("frame");
  const place = DATA.frames.findIndex((f) => f.index === index);
  if (place >= 0) state.frame = place;
  if (DATA.unit === "eV" && FACTORS[choices.get("unit")]) state.unit = choices.get("unit");
  if (["relation", "bond", "elements"].includes(choices.get("colour"))) state.colour = choices.get("colour");
  if (["forces", "pairs"].includes(choices.get("arrows"))) state.arrows = choices.get("arrows");
  return { section, threshold: number("from"), atom: number("atom"), only: choices.get("only") === "1", pair: choices.get("pair"),
    walk: choices.get("walk") };
}
// What belongs to one frame; applied after that frame's defaults.
function applyToFrame({ threshold, atom, only, pair, walk }) {
  const { symbols, pairs, walks } = frame();
  const whole = (value, end) => Number.isInteger(value) && value >= 0 && value < end;
  if (whole(atom, symbols.length)) { state.atom = atom; state.only = only; }
  if (pair && pairs) {
    const [a, b] = pair.split("-").map(Number);
    const k = pairs.i.findIndex((i, n) => i === a && pairs.j[n] === b);
    if (k >= 0) state.chosenPair = k;
  }
  if (walk === "all") state.walk = null;
  else if (walk !== null && whole(Number(walk), walks.atoms.length)) state.walk = Number(walk);
  if (threshold !== null && threshold >= 0) setThreshold(threshold);
}

function writeAddress() {
  if (!address.ready) return;
  const choices = new URLSearchParams(), { pairs } = frame();
  if (state.frame) choices.set("frame", frame().index);
  if (state.unit !== DATA.unit) choices.set("unit", state.unit);
  if (state.moved) choices.set("from", Number(state.threshold.toPrecision(4)));
  if (state.atom !== null) choices.set("atom", state.atom);
  if (state.only) choices.set("only", 1);
  if (state.chosenPair !== null) choices.set("pair", `${pairs.i[state.chosenPair]}-${pairs.j[state.chosenPair]}`);
  if (state.walk === null) choices.set("walk", "all");
  else if (state.walk !== firstWalk()) choices.set("walk", state.walk);
  if (state.colour !== "relation") choices.set("colour", state.colour);
  if (state.arrows !== "none") choices.set("arrows", state.arrows);
  const query = choices.toString();
  const hash = `#${readAddress().section}${query ? `?${query}` : ""}`;
  // Where a page may not rewrite its address (inside some viewers), it works without.
  try { history.replaceState(null, "", hash === "#" ? location.pathname + location.search : hash); } catch { address.ready = false; }
}
const goToSection = (name) => name && byId(name)?.scrollIntoView();
