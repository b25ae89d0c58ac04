// Save what is shown: charts and figures as SVG and PNG, tables as CSV. `pageName()` begins the names of all files.
function save(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = node("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
const fileName = (what, ending) => `${[pageName(), what].join("-").replace(/[^\w.-]+/g, "_").slice(0, 80)}.${ending}`;

// A drawing that looks the same without this page's style sheet.
const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size",
  "font-family", "font-weight", "text-anchor", "display"];
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, k) => {
    const style = getComputedStyle(element);
    for (const name of KEPT) to[k].style.setProperty(name, style.getPropertyValue(name));
    to[k].removeAttribute("class");
  });
  const [, , width, height] = svg.getAttribute("viewBox").split(" ");
  fill(copy, { xmlns: "http://www.w3.org/2000/svg", width, height }, []);
  copy.prepend(shape("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  return { text: new XMLSerializer().serializeToString(copy), width: Number(width), height: Number(height) };
}
async function pngOf(svg, scale = 3) {
  const { text, width, height } = standalone(svg);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const drawing = node("canvas", { width: width * scale, height: height * scale });
  drawing.getContext("2d").drawImage(image, 0, 0, width * scale, height * scale);
  return new Promise((done) => drawing.toBlob(done, "image/png"));
}

// Text after RFC 4180; `rows` are lists of cells.
const csvText = (rows) => rows.map((row) => row.map((cell) => {
  const content = cell === null || cell === undefined ? "" : String(cell);
  return /[",\n\r]/.test(content) ? `"${content.replaceAll('"', '""')}"` : content;
}).join(",")).join("\r\n") + "\r\n";

const exportButton = (kind, what, run) => {
  const button = node("button", { type: "button", class: "export", "aria-label": `Save ${what} as ${kind}` }, kind);
  button.addEventListener("click", run);
  return button;
};
// Content of a base64 data address; the page may not fetch, not even from itself.
function blobOf(address) {
  const [, type, content] = address.match(/^data:([^;,]+)[^,]*,(.*)$/s);
  return new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], { type });
}
// Buttons below every chart that holds a drawing.
function chartExports() {
  document.querySelectorAll(".chart[data-export]").forEach((host) => {
    const svg = () => host.querySelector("svg"), what = host.dataset.export;
    host.after(node("p", { class: "exports" },
      exportButton("SVG", what, () => svg() && save(fileName(what, "svg"), standalone(svg()).text, "image/svg+xml")),
      exportButton("PNG", what, async () => svg() && save(fileName(what, "png"), await pngOf(svg())))));
  });
}
// Buttons below every figure that is a picture.
async function pngOfPicture(image, scale = 3) {
  const drawing = node("canvas", { width: image.naturalWidth * scale, height: image.naturalHeight * scale });
  const pen = drawing.getContext("2d");
  pen.fillStyle = "#fff"; // as the figure lies on the page
  pen.fillRect(0, 0, drawing.width, drawing.height);
  pen.drawImage(image, 0, 0, drawing.width, drawing.height);
  return new Promise((done) => drawing.toBlob(done, "image/png"));
}
function pictureExports() {
  document.querySelectorAll("img[data-export]").forEach((image) => {
    const what = image.dataset.export;
    (image.closest(".wide") ?? image).after(node("p", { class: "exports" },
      exportButton("SVG", what, () => save(fileName(what, "svg"), blobOf(image.src))),
      exportButton("PNG", what, async () => save(fileName(what, "png"), await pngOfPicture(image)))));
  });
}
// A button below a table; `rows` makes head and body from the data, not from what happens to be listed.
function tableExport(table, what, rows) {
  const place = table.closest(".scroll, .wide") ?? table;
  place.after(node("p", { class: "exports" }, exportButton("CSV", what, () => save(fileName(what, "csv"), csvText(rows()), "text/csv"))));
}
// A table that holds all there is, as it stands: numbers in full, words as they are read.
const cellsOf = (row) => [...row.cells].flatMap((cell) =>
  [cell.dataset.value ?? cell.textContent.trim().replace(/\s+/g, " "), ...Array(cell.colSpan - 1).fill("")]);
function plainTableExports() {
  document.querySelectorAll("table[data-export]").forEach((table) =>
    tableExport(table, table.dataset.export, () => [...table.rows].map(cellsOf)));
}
