// Tables that sort by their headers, filter by a word and leave as CSV. Cells carry exact values in `data-value`.

import { csvLines } from "./csv.js";

const FILTERED_ABOVE = 8;

/** @param {HTMLTableElement} table */
export function enliven(table) {
  const body = table.tBodies[0];
  const head = table.tHead;
  if (!body || !head || body.rows.length < 2) return;
  const headers = [...head.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent || "row";
    if (!header.textContent) button.setAttribute("aria-label", "name");
    header.replaceChildren(button);
    button.addEventListener("click", () => sort(table, headers, column));
  });
  const tools = document.createElement("div");
  tools.className = "tools";
  if (body.rows.length > FILTERED_ABOVE) tools.append(filterOf(table));
  tools.append(saveButton("CSV", `${table.dataset.name || "table"}.csv`, "text/csv", () => csvOf(table)));
  (table.closest(".scroll") || table).before(tools);
}

/** @param {HTMLTableElement} table @param {HTMLTableCellElement[]} headers @param {number} column */
function sort(table, headers, column) {
  const down = headers[column].getAttribute("aria-sort") === "ascending";
  headers.forEach((each) => each.removeAttribute("aria-sort"));
  headers[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compare(valueOf(a.cells[column]), valueOf(b.cells[column])) * (down ? -1 : 1));
  table.tBodies[0].append(...rows);
}

/** @param {HTMLTableCellElement} cell */
function valueOf(cell) {
  return cell.dataset.value ?? (cell.textContent || "").trim();
}

/** Numbers by size, texts by the reader's language, what is empty last. @param {string} a @param {string} b */
function compare(a, b) {
  const [x, y] = [a === "" ? NaN : Number(a), b === "" ? NaN : Number(b)];
  if (Number.isFinite(x) && Number.isFinite(y)) return x - y;
  if (Number.isFinite(x) !== Number.isFinite(y)) return Number.isFinite(x) ? -1 : 1;
  return a.localeCompare(b, undefined, { numeric: true });
}

/** @param {HTMLTableElement} table */
function filterOf(table) {
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "Filter rows";
  input.setAttribute("aria-label", "Filter rows");
  input.addEventListener("input", () => {
    const word = input.value.toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !(row.textContent || "").toLowerCase().includes(word);
  });
  return input;
}

/** @param {HTMLTableElement} table */
function csvOf(table) {
  return csvLines([...table.rows].map((row) => [...row.cells].map(valueOf)));
}

/** @param {string} label @param {string} name @param {string} type @param {() => string} content */
export function saveButton(label, name, type, content) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.title = `Save ${name}`;
  button.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([content()], { type }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  });
  return button;
}
