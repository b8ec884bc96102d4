// The jobs page: filter and sort without a reload, select, verbs on the selection, reorder, rows that change by themselves.

import "./site.js";
import { api, attempt, fragment, tell } from "./api.js";
import { hear, seldom } from "./live.js";
import { startReordering } from "./reorder.js";
import { say } from "./say.js";
import { Selection } from "./selection.js";
import { act, tellDeleted } from "./verbs.js";

const filters = /** @type {HTMLFormElement} */ (document.getElementById("filters"));
const list = () => /** @type {HTMLElement} */ (document.getElementById("list"));
const selection = new Selection(list);

/** Show an address of this page. @param {string} address @param {"push" | "replace" | ""} history_ */
async function visit(address, history_ = "push") {
  list().setAttribute("aria-busy", "true");
  try {
    const found = (await fragment(address, "list")).getElementById("list");
    if (!found) throw new Error("no list");
    if (!history_ && isMoving()) { refreshAll(); return; }
    if (history_) history[`${history_}State`](null, "", address);
    selection.keep(found);
    const focused = focusedIn(list());
    list().replaceWith(found);
    if (focused) refocus(document.getElementById(focused.row), focused.place);
    selection.shown();
  } catch {
    location.assign(address); // the page that comes says what is wrong
  }
}

// ------------------------------------------------------------- filter, sort, columns
/** The address of what the form says, beside what the address has and the form has not. */
function addressOfForm() {
  const now = new URLSearchParams(location.search);
  for (const [name, value] of new FormData(filters)) {
    if (value) now.set(name, String(value));
    else now.delete(name);
  }
  now.delete("page");
  return `/jobs?${now}`;
}
let typing = 0;
filters.addEventListener("input", (event) => {
  if (/** @type {HTMLElement} */ (event.target).closest("details")) return;
  clearTimeout(typing);
  typing = window.setTimeout(() => visit(addressOfForm(), "replace"), 250);
});
filters.addEventListener("submit", (event) => { event.preventDefault(); visit(addressOfForm()); });
document.getElementById("columns")?.addEventListener("change", () => {
  const boxes = [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#columns input"))];
  const now = new URLSearchParams(location.search);
  now.set("columns", ["job", ...boxes.filter((box) => box.checked).map((box) => box.value)].join(","));
  visit(`/jobs?${now}`, "replace");
});
document.getElementById("add-condition")?.addEventListener("click", () => {
  const field = /** @type {HTMLInputElement} */ (document.getElementById("condition"));
  const found = field.value.trim().match(/^([\w./-]+)\s*(=|>=|<=|>|<)\s*(.+)$/);
  if (!found) { tell(say("condition_how"), { bad: true }); return; }
  const now = new URLSearchParams(location.search);
  if (found[2] === "=") now.set(`flag.${found[1]}`, found[3]);
  else now.set(`metric.${found[1]}.${found[2].startsWith(">") ? "min" : "max"}`, found[3]);
  now.delete("page");
  field.value = "";
  visit(`/jobs?${now}`);
});
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("#list a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey || link.pathname !== "/jobs" && link.pathname !== "/") return;
  event.preventDefault();
  const where = link.getAttribute("href") || "/jobs";
  const focus = link.closest("th, nav") ? [...list().querySelectorAll("a")].indexOf(link) : -1;
  visit(where).then(() => { if (focus >= 0) list().querySelectorAll("a")[focus]?.focus(); });
});
window.addEventListener("popstate", () => {
  const now = new URLSearchParams(location.search);
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (filters.querySelectorAll("input[name]"))) field.value = now.get(field.name) || "";
  visit(location.pathname + location.search, "");
});

// ------------------------------------------------------------- verbs
const bar = /** @type {HTMLElement} */ (document.getElementById("verbs"));
selection.changed = () => {
  bar.hidden = selection.size === 0;
  /** @type {HTMLElement} */ (bar.querySelector(".told")).textContent = say("selected", { n: selection.size });
  document.body.classList.toggle("has-selection", selection.size > 0);
  const enabled = selection.verbs();
  for (const each of /** @type {NodeListOf<HTMLButtonElement>} */ (bar.querySelectorAll("[data-verb]"))) each.disabled = !enabled.has(each.dataset.verb || "");
};
bar.addEventListener("click", async (event) => {
  const verb = event.target instanceof Element ? event.target.closest("[data-verb]")?.getAttribute("data-verb") : null;
  if (!verb) return;
  const ids = selection.ids();
  if (verb === "none") selection.clear();
  else if (verb === "compare") location.assign(`/compare?${ids.map((id) => `id=${encodeURIComponent(id)}`).join("&")}`);
  else if (verb === "clone") location.assign(`/submit?clone=${encodeURIComponent(ids[0])}`);
  else if (await act(verb, selection.rows(), Number(/** @type {HTMLInputElement} */ (document.getElementById("priority")).value))) {
    if (verb === "delete") selection.clear();
    refreshAll();
  }
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && selection.size) selection.clear(); });

const queue = /** @type {HTMLElement} */ (document.getElementById("queue"));
/** @param {boolean} paused */
function showPaused(paused) {
  queue.dataset.paused = String(paused);
  /** @type {HTMLElement} */ (queue.querySelector(".told")).textContent = paused ? say("queue_is_paused") : "";
  const press = document.getElementById("pause");
  if (press) press.textContent = paused ? say("resume") : say("pause");
}
/** @param {boolean} paused */
async function setPaused(paused) {
  await api("POST", paused ? "/queue/pause" : "/queue/resume");
  showPaused(paused);
}
document.getElementById("pause")?.addEventListener("click", () => {
  const paused = queue.dataset.paused !== "true";
  attempt(async () => { await setPaused(paused); tell(say(paused ? "queue_paused" : "queue_resumed"), { undo: () => setPaused(!paused) }); });
});
startReordering(() => refreshAll());

// ------------------------------------------------------------- changes from elsewhere
/** @type {Set<string>} */
const changed = new Set();
const refreshRows = seldom(async () => {
  const ids = [...changed].slice(0, 200);
  ids.forEach((id) => changed.delete(id));
  const columns = new URLSearchParams(location.search).get("columns");
  const found = await fragment(`/jobs/rows?ids=${ids.join(",")}${columns ? `&columns=${columns}` : ""}`);
  for (const row of found.querySelectorAll("tbody tr")) place(/** @type {HTMLTableRowElement} */ (row));
  showCounts(found);
}, 400);
const refreshAll = seldom(() => visit(location.pathname + location.search, ""), 2000);

/** A row is being dragged: the table must stay. */
function isMoving() { return document.querySelector(".dragged") !== null; }

/** Put a row in the place of the one it replaces; the focus stays. @param {HTMLTableRowElement} row */
function place(row) {
  const old = document.getElementById(row.id);
  if (!old || old.classList.contains("dragged")) return;
  const focused = focusedIn(old);
  selection.keep(row);
  if (old.dataset.state !== row.dataset.state) row.classList.add("changed");
  old.replaceWith(row);
  if (focused) refocus(row, focused.place);
  selection.shown();
}

/** What may have the focus in a row. @param {Element} row */
function focusable(row) { return /** @type {HTMLElement[]} */ ([...row.querySelectorAll("a, input, button")]); }

/** The row with the focus, and which of its parts has it; null if none has. @param {Element} within */
function focusedIn(within) {
  const active = /** @type {HTMLElement} */ (document.activeElement);
  const row = within.contains(active) ? active.closest("tbody tr") : null;
  return row ? { row: row.id, place: focusable(row).indexOf(active) } : null;
}

/** Give the focus back to a part of a row that was replaced. @param {Element | null} row @param {number} place */
function refocus(row, place) { if (row) focusable(row)[place]?.focus({ preventScroll: true }); }

/** The counts, with the links of this address. @param {Document} found */
function showCounts(found) {
  const [now, next] = [document.getElementById("counts"), found.getElementById("counts")];
  if (!now || !next || now.contains(document.activeElement)) return;
  const same = now.querySelectorAll("li").length === next.querySelectorAll("li").length;
  if (!same) { refreshAll(); return; }
  next.querySelectorAll("b").forEach((each, k) => { now.querySelectorAll("b")[k].textContent = each.textContent; });
}

hear("/api/events", (name, data) => {
  if (name === "queue.paused" || name === "queue.resumed") showPaused(name === "queue.paused");
  const id = data.job_id;
  if (!id) return;
  if (document.getElementById(`job-${id}`) && name !== "job.deleted") { changed.add(id); refreshRows(); }
  else if (name !== "job.progress" && name !== "job.log" && name !== "job.metric") refreshAll();
}, () => refreshAll());
tellDeleted();
document.documentElement.dataset.ready = "true";
