// Waiting jobs in another order: by dragging a row's grip with mouse, pen or finger, or with the arrow keys on it.

import { api, attempt, tell } from "./api.js";
import { say } from "./say.js";

/** @param {() => void} moved called when the Master has taken a move */
export function startReordering(moved) {
  document.addEventListener("keydown", (event) => {
    const grip = event.target instanceof Element ? event.target.closest(".grip") : null;
    if (!grip || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    event.preventDefault();
    const row = /** @type {HTMLTableRowElement} */ (grip.closest("tr"));
    const other = neighbour(row, event.key === "ArrowUp" ? "previousElementSibling" : "nextElementSibling");
    if (other) put(row, other, event.key === "ArrowUp", /** @type {HTMLElement} */ (grip), moved);
  });
  document.addEventListener("pointerdown", (event) => {
    const grip = event.target instanceof Element ? event.target.closest(".grip") : null;
    if (grip && event.button === 0) drag(/** @type {HTMLElement} */ (grip), event, moved);
  });
}

/** The next waiting row. @param {Element} row @param {"previousElementSibling" | "nextElementSibling"} way */
function neighbour(row, way) {
  let found = row[way];
  while (found && !found.querySelector(".grip")) found = found[way];
  return /** @type {HTMLTableRowElement | null} */ (found);
}

/** @param {HTMLElement} grip @param {PointerEvent} start @param {() => void} moved */
function drag(grip, start, moved) {
  const row = /** @type {HTMLTableRowElement} */ (grip.closest("tr"));
  const before = row.nextElementSibling;
  const former = placeOf(row);
  start.preventDefault();
  row.classList.add("dragged");
  /** @type {{other: HTMLTableRowElement, above: boolean} | null} */
  let target = null;
  const move = (/** @type {PointerEvent} */ event) => {
    const other = /** @type {HTMLTableRowElement | null | undefined} */ (document.elementsFromPoint(event.clientX, event.clientY).map((each) => each.closest("tbody tr")).find((each) => each && each !== row));
    if (!other?.querySelector(".grip")) return;
    const box = other.getBoundingClientRect();
    const above = event.clientY < box.top + box.height / 2;
    target = { other, above };
    if (above) other.before(row);
    else other.after(row);
  };
  const end = (/** @type {PointerEvent} */ event) => {
    document.removeEventListener("pointermove", move);
    document.removeEventListener("pointerup", end);
    document.removeEventListener("pointercancel", end);
    row.classList.remove("dragged");
    if (event.type === "pointercancel" || !target) { row.parentElement?.insertBefore(row, before); return; }
    put(row, target.other, target.above, grip, moved, former);
  };
  // On the document: a row that moves in the page would lose the capture of the pointer.
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", end);
}

/** Where a row is, as the Master is told. @param {HTMLTableRowElement} row */
function placeOf(row) {
  const next = neighbour(row, "nextElementSibling");
  return next ? { before: next.dataset.id } : { after: neighbour(row, "previousElementSibling")?.dataset.id };
}

/** @param {HTMLTableRowElement} row @param {HTMLTableRowElement} other @param {boolean} above @param {HTMLElement} grip @param {() => void} moved @param {object} former */
async function put(row, other, above, grip, moved, former = placeOf(row)) {
  const address = `/jobs/${row.dataset.id}`;
  if (above) other.before(row);
  else other.after(row);
  grip.focus();
  const done = await attempt(() => api("PATCH", address, above ? { before: other.dataset.id } : { after: other.dataset.id }));
  const undo = async () => { await api("PATCH", address, former); moved(); };
  if (done) tell(say(above ? "moved_before" : "moved_after", { name: row.dataset.name, other: other.dataset.name }), { undo });
  moved();
}
