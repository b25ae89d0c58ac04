// Many structures: a slider, a player, arrow keys, and a chart of the sums of every frame.
const player = { timer: null };

function goToFrame(k) {
  state.frame = Math.max(0, Math.min(DATA.frames.length - 1, k));
  changed("frame");
}
function play(running) {
  clearInterval(player.timer);
  player.timer = running ? setInterval(() => goToFrame((state.frame + 1) % DATA.frames.length), 700) : null;
  byId("frame-play").textContent = running ? "\u275a\u275a" : "\u25b6";
  byId("frame-play").setAttribute("aria-label", running ? "stop" : "play all frames");
  byId("frame-play").setAttribute("aria-pressed", String(running));
}
function showFrameNumber() {
  const f = frame();
  byId("frame-choice").value = byId("frame-slider").value = state.frame;
  byId("frame-slider").setAttribute("aria-valuetext", `frame ${f.index}: ${f.name}`);
}
function buildFrames() {
  if (DATA.frames.length < 2) return;
  const choice = byId("frame-choice"), slider = byId("frame-slider");
  DATA.frames.forEach((f, k) => choice.append(node("option", { value: k }, `${f.index}: ${f.name}`)));
  slider.max = DATA.frames.length - 1;
  choice.addEventListener("change", () => { play(false); goToFrame(Number(choice.value)); });
  slider.addEventListener("input", () => { play(false); goToFrame(Number(slider.value)); });
  byId("frame-before").addEventListener("click", () => { play(false); goToFrame(state.frame - 1); });
  byId("frame-after").addEventListener("click", () => { play(false); goToFrame(state.frame + 1); });
  byId("frame-play").addEventListener("click", () => play(player.timer === null));
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const busy = event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea, .scroll, #viewer");
    if (!step || busy) return;
    event.preventDefault();
    play(false);
    goToFrame(state.frame + step);
  });
  byId("frame-bar").hidden = byId("frames").hidden = false;
}

// Sums of every shown frame side by side; a click goes to the frame.
function framesChart() {
  if (DATA.frames.length < 2) return;
  const series = [["together", (f) => f.prediction - f.constant], ...[1, 2, 3].filter((n) => n <= frame().orders.length)
    .map((n) => [ORDERS[n], (f) => f.orders[n - 1].total]), ["larger sets", (f) => f.remainder]];
  const width = room(byId("frames-chart"), 860);
  const [height, left, right, top, bottom] = [260, narrow(width) ? 56 : 74, narrow(width) ? 82 : 100, 12, 44];
  const svg = canvas(byId("frames-chart"), width, height, "Sums of terms in every frame");
  const values = series.flatMap(([, of]) => DATA.frames.map((f) => of(f) * factor()));
  const low = Math.min(...values), high = Math.max(...values);
  const x = (k) => left + (k / (DATA.frames.length - 1)) * (width - left - right);
  const y = (v) => top + ((high - v) / (high - low || 1)) * (height - top - bottom);
  for (const t of ticks(low, high, 5)) {
    svg.append(line(left, y(t), width - right, y(t), { class: "grid" }), text(left - 7, y(t) + 4, tickText(t), { class: "tick end" }));
  }
  const every = Math.ceil(DATA.frames.length / (narrow(width) ? 5 : 12));
  DATA.frames.forEach((f, k) => { if (k % every === 0) svg.append(text(x(k), height - bottom + 16, f.index, { class: "tick middle" })); });
  svg.append(text((left + width - right) / 2, height - 6, "frame", { class: "axis-name middle" }),
    text(0, 0, `sum of terms, ${state.unit}`, { class: "axis-name middle", transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)` }),
    line(x(state.frame), top, x(state.frame), height - bottom, { class: "mark" }));
  // Names stand at the end of their lines, pushed apart where they would touch.
  const ends = series.map(([name, of], s) => ({ name, s, y: y(of(DATA.frames[DATA.frames.length - 1]) * factor()) })).sort((a, b) => a.y - b.y);
  ends.forEach((end, k) => { if (k) end.y = Math.max(end.y, ends[k - 1].y + 13); });
  // Lines join frames of the same atoms in the same order; others stand for themselves.
  const joined = DATA.frames.every((f) => f.symbols.join() === DATA.frames[0].symbols.join());
  series.forEach(([, of], s) => {
    const at = DATA.frames.map((f, k) => [x(k), y(of(f) * factor())]);
    if (joined) svg.append(shape("path", { class: `line ${SERIES[s]}`, d: at.map(([a, b], k) => `${k ? "L" : "M"}${a} ${b}`).join("") }));
    else at.forEach(([cx, cy]) => svg.append(shape("circle", { class: `spot ${SERIES[s]}`, cx, cy, r: 4 })));
  });
  ends.forEach(({ name, s, y: at }) => svg.append(text(width - right + 8, at + 4, name, { class: `line-name ${SERIES[s]}` })));
  DATA.frames.forEach((f, k) => {
    const step = (width - left - right) / (DATA.frames.length - 1);
    const hit = shape("rect", { x: x(k) - step / 2, y: top, width: step, height: height - top - bottom, class: "hit" });
    note(hit, () => [`frame ${f.index}: ${f.name}`, ...series.map(([name, of]) => `${name} ${withUnit(of(f))}`)]);
    hit.addEventListener("click", () => { play(false); goToFrame(k); });
    svg.append(hit);
  });
}
