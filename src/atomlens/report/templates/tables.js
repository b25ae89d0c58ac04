// Tables that sort by a click on a heading, rows that can be chosen by mouse and keyboard, and numbers for both.
const numberCell = (value, content = String(value), tone = "") =>
  node("td", { class: `number ${tone}`.trim(), "data-value": value }, content);

// Put rows into the body of a table, in the order the reader chose.
function fillRows(id, rows) {
  byId(id).replaceChildren(...rows);
  resort(byId(id).closest("table"));
}

function choosable(row, choose) {
  fill(row, { tabindex: "0" }, []);
  row.addEventListener("click", choose);
  row.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
  });
  return row;
}
function pressed(row, chosen) {
  row.classList.toggle("chosen", chosen);
  if (chosen) row.setAttribute("aria-current", "true");
  else row.removeAttribute("aria-current");
}

const sortKey = (row, column) => {
  const cell = row.cells[column];
  if (!cell) return "";
  return cell.dataset.value !== undefined ? Number(cell.dataset.value) : cell.textContent;
};
function resort(table) {
  const column = Number(table.dataset.sorted ?? -1);
  if (column < 0) return;
  const direction = table.dataset.direction === "descending" ? -1 : 1;
  const body = table.tBodies[0];
  const before = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true }));
  body.append(...[...body.rows].sort((a, b) => direction * before(sortKey(a, column), sortKey(b, column))));
}
// Say so where something is wider than its place.
function hintScrolling() {
  document.querySelectorAll(".wide").forEach((box) => box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 2));
}
function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = node("button", { type: "button", class: "sort" }, ...heading.childNodes);
    heading.replaceChildren(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      // Numbers start with the largest, words with the first letter; a second click turns the order round.
      const first = table.tBodies[0].rows[0]?.cells[column]?.dataset.value !== undefined ? "descending" : "ascending";
      const other = first === "descending" ? "ascending" : "descending";
      const again = Number(table.dataset.sorted) === column && table.dataset.direction === first;
      table.dataset.sorted = column;
      table.dataset.direction = again ? other : first;
      headings.forEach((each) => each.hasAttribute("aria-sort") && each.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", table.dataset.direction);
      resort(table);
    });
  });
}
