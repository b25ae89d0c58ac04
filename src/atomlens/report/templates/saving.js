// What this page can save: its tables in full, the view as a picture, and a file that chemiscope opens anywhere.
function pairsCsv() {
  const { pairs, symbols } = frame();
  const head = ["atom_1", "atom_2", "element_1", "element_2", "distance_angstrom", "bond", "relation", `term_${state.unit}`];
  return [head, ...pairs.r.map((r, k) => [pairs.i[k], pairs.j[k], symbols[pairs.i[k]], symbols[pairs.j[k]], pairs.d[k],
    DATA.vocabulary.bonds[pairs.bond[k]], DATA.vocabulary.relations[pairs.relation[k]], r * factor()])];
}
function triplesCsv() {
  const { triples } = frame();
  return [["atom_1", "atom_2", "atom_3", "range_angstrom", "relation", `term_${state.unit}`],
    ...triples.r.map((r, k) => [...triples.atoms[k], triples.range[k], DATA.vocabulary.relations[triples.span[k]], r * factor()])];
}
function walksCsv() {
  const { walks } = frame();
  return [["rank", ...(walks.atoms[0] ?? []).map((_, t) => `atom_${t}`), `relevance_${state.unit}`],
    ...walks.r.map((r, k) => [k + 1, ...walks.atoms[k], r * factor()])];
}
function atomsCsv() {
  const { symbols, oneBody, shares } = frame();
  return [["atom", "element", ...["one_body", "readout", "start", "passage"].map((kind) => `${kind}_${state.unit}`)],
    ...symbols.map((symbol, k) => [k, symbol, ...[oneBody, shares.readout, shares.start, shares.passage].map((values) => values[k] * factor())])];
}
function groupsCsv() {
  const { groups } = frame();
  return [["group", "atoms", ...groups.names.map((name) => `${name}_${state.unit}`)],
    ...groups.names.map((name, k) => [name, groups.members[k].join(" "), ...groups.matrix[k].map((value) => value * factor())])];
}

// All structures of this page, with the stronger pair terms as cylinders, in the format of chemiscope.org.
function chemiscopeFile() {
  const now = state.frame;
  const shapes = [];
  const structures = DATA.frames.map((f, k) => {
    state.frame = k; // cylinders belong to the current frame
    const scale = f.pairs ? Math.abs(f.pairs.r[0] ?? 1) : 1;
    const list = f.pairs ? f.pairs.r.map((_, n) => n).slice(0, SHOWN_AT_MOST).filter((n) => Math.abs(f.pairs.r[n]) > 0.02 * scale) : [];
    shapes.push(vectors(list.map((n) => cylinder(n, scale))));
    const axis = (n) => f.positions.map((p) => p[n]);
    return { size: f.symbols.length, names: f.symbols, x: axis(0), y: axis(1), z: axis(2),
      ...(f.cell?.edges.every((edge) => Math.hypot(...edge) > 0) ? { cell: f.cell.edges.flat() } : {}) };
  });
  state.frame = now;
  const property = (values, description) => ({ target: "structure", values, units: DATA.unit, description });
  return {
    meta: { name: `${DATA.property}, taken apart by atomlens`,
      description: "Cylinders are pair terms: blue lowers the prediction, orange raises it, width by strength." },
    structures,
    shapes: { "pair terms": { kind: "cylinders", parameters: { global: {}, structure: shapes } } },
    properties: {
      [DATA.property]: property(DATA.frames.map((f) => f.prediction), "prediction of the model"),
      "terms together": property(DATA.frames.map((f) => f.prediction - f.constant), "prediction minus constant part"),
      frame: { target: "structure", values: DATA.frames.map((f) => f.index), description: "number of the structure in its file" },
    },
    settings: { target: "structure", structure: [{ bonds: true, shape: "pair terms" }] },
  };
}

function buildExports() {
  const tableOf = (id) => byId(id).closest("table");
  chartExports();
  pictureExports();
  plainTableExports();
  tableExport(tableOf("pair-rows"), "pairs", pairsCsv);
  tableExport(tableOf("triple-rows"), "triples", triplesCsv);
  tableExport(tableOf("walk-rows"), "walks", walksCsv);
  tableExport(tableOf("group-rows"), "groups", groupsCsv);
  byId("atom-shares").nextElementSibling.append(exportButton("CSV", "atoms", () => save(fileName("atoms", "csv"), csvText(atomsCsv()), "text/csv")));
  byId("view-exports").append(
    exportButton("PNG", "the view", () => viewer.box && save(fileName("view", "png"), blobOf(viewer.box.exportPNG()))),
    exportButton("chemiscope", "all structures", () => save(fileName("structures", "chemiscope.json"), JSON.stringify(chemiscopeFile()), "application/json")));
}
