(() => {
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const say = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""} "${(e.textContent || "").trim().slice(0, 30)}"`;
  const found = [];
  // Relative luminance and contrast as WCAG defines them.
  const parse = (c) => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const under = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const checked = new Set();
  for (let n = words.nextNode(); n; n = words.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || checked.has(e) || e.closest("svg, script, style, noscript, option, #viewer") || !seen(e)) continue;
    checked.add(e);
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(under(e))].sort((p, q) => q - p);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${say(e)}`);
  }
  const named = (e) => e.getAttribute("aria-label") || e.getAttribute("title") || e.textContent.trim() || [...(e.labels || [])].some((l) => l.textContent.trim());
  for (const e of document.querySelectorAll("button, a[href], summary")) if (seen(e) && !named(e)) found.push(`no name: ${say(e)}`);
  for (const e of document.querySelectorAll("input, select, textarea")) {
    const label = e.getAttribute("aria-label") || [...e.labels].map((l) => l.textContent.trim()).join("");
    if (seen(e) && !label) found.push(`no label: ${say(e)}`);
  }
  for (const e of document.querySelectorAll("img")) if (!e.alt) found.push(`no alternative text: ${e.src.slice(0, 40)}`);
  for (const e of document.querySelectorAll("svg")) {
    if (!e.closest("#viewer") && !(e.getAttribute("role") === "img" && e.getAttribute("aria-label"))) found.push("drawing without a name");
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) found.push(`id twice: ${id}`);
  let level = 0;
  for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!seen(e)) continue;
    const mine = Number(e.tagName[1]);
    if (mine > level + 1) found.push(`heading of level ${mine} after ${level}: ${say(e)}`);
    level = mine;
  }
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  for (const e of document.querySelectorAll("table")) if (!e.tHead) found.push(`table without a head: ${say(e)}`);
  for (const e of document.querySelectorAll(".scroll, .wide, .chart")) {
    const scrolls = e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1;
    if (seen(e) && scrolls && e.tabIndex < 0) found.push(`scrolls, but not by keyboard: ${say(e)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  return found;
})()
