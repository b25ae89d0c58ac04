// Which atom or cylinder of the three-dimensional view lies under the pointer. The view knows where a point of the
// structure is on the screen; the rest is plane geometry.
function onScreen(point) {
  const [x, y, z] = point;
  return viewer.box._viewer.modelToScreen({ x, y, z });
}
// How far a point lies towards the reader: its third coordinate after the rotation of the view (a quaternion).
function depth([x, y, z]) {
  const [a, b, c, w] = viewer.box._viewer.getView().slice(4);
  return 2 * (a * c - w * b) * x + 2 * (b * c + w * a) * y + (1 - 2 * (a * a + b * b)) * z;
}

function hitAt(event) {
  if (!viewer.box?._viewer?.modelToScreen) return null;
  const { positions, pairs } = frame();
  const here = { x: event.pageX, y: event.pageY };
  const scale = screenScale();
  const hits = [];
  positions.forEach((p, k) => {
    const at = onScreen(p);
    if (Math.hypot(at.x - here.x, at.y - here.y) <= Math.max(9, 0.34 * scale)) hits.push({ atom: k, depth: depth(p) + 0.3 });
  });
  const largest = pairs ? Math.abs(pairs.r[0] ?? 1) : 1;
  for (const k of shownPairs().slice(0, SHOWN_AT_MOST)) {
    const { base, vector, radius } = cylinder(k, largest);
    const end = base.map((x, axis) => x + vector[axis]);
    const [a, b] = [onScreen(base), onScreen(end)];
    const { share, distance } = toSegment(here, a, b);
    if (distance <= Math.max(4, radius * scale)) hits.push({ pair: k, depth: (1 - share) * depth(base) + share * depth(end) });
  }
  return hits.sort((one, other) => other.depth - one.depth)[0] ?? null;
}
function toSegment(p, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const share = Math.max(0, Math.min(1, ((p.x - a.x) * dx + (p.y - a.y) * dy) / (dx * dx + dy * dy || 1)));
  return { share, distance: Math.hypot(a.x + share * dx - p.x, a.y + share * dy - p.y) };
}
// Pixels of an Å, from three directions: one of them is never seen end on.
function screenScale() {
  const origin = onScreen([0, 0, 0]);
  const lengths = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) => {
    const at = onScreen(axis);
    return (at.x - origin.x) ** 2 + (at.y - origin.y) ** 2;
  });
  return Math.sqrt(lengths.reduce((a, b) => a + b, 0) / 2);
}

function buildPicking() {
  const host = byId("viewer");
  let down = null, waiting = false;
  host.addEventListener("pointerdown", (event) => { down = [event.clientX, event.clientY]; }, true);
  host.addEventListener("pointerup", (event) => {
    const still = down && Math.hypot(event.clientX - down[0], event.clientY - down[1]) < 5;
    down = null;
    if (!still || event.button > 0) return; // the view was turned
    const hit = hitAt(event);
    if (!hit) return tip.hide();
    if (hit.atom !== undefined) chooseAtom(hit.atom);
    else choosePair(hit.pair);
    tip.show(event, hit.atom !== undefined ? atomNote(hit.atom) : pairNote(hit.pair));
  }, true);
  host.addEventListener("pointermove", (event) => {
    if (waiting || event.buttons) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const hit = hitAt(event);
      host.style.cursor = hit ? "pointer" : "";
      pointAt(hit?.pair ?? null);
      if (hit) tip.show(event, hit.atom !== undefined ? atomNote(hit.atom) : pairNote(hit.pair));
      else tip.hide();
    });
  }, true);
  host.addEventListener("pointerleave", () => { tip.hide(); pointAt(null); });
}
