// A page whose part `#part` changes by itself: fetched again when something happens that it names in `data-live`.

import { fragment } from "./api.js";
import { hear, seldom } from "./live.js";

const part = () => /** @type {HTMLElement} */ (document.getElementById("part"));

/** Fetch the part again. The reader's place stays: nothing is replaced while a field in it has the focus. */
export const refreshPart = seldom(async () => {
  const active = document.activeElement;
  if (active && part().contains(active) && active.matches("input, select, textarea")) return;
  const next = (await fragment(location.pathname + location.search)).getElementById("part");
  if (!next) return;
  const focused = active && part().contains(active) ? places(part()).indexOf(active) : -1;
  const open = [...part().querySelectorAll("details")].map((each) => each.open);
  const scroll = [...part().querySelectorAll(".frame")].map((each) => each.scrollTop);
  next.querySelectorAll("details").forEach((each, k) => { each.open = open[k] ?? each.open; });
  part().replaceWith(next);
  next.querySelectorAll(".frame").forEach((each, k) => { each.scrollTop = scroll[k] ?? 0; });
  if (focused >= 0) /** @type {HTMLElement} */ (places(next)[focused])?.focus();
  document.dispatchEvent(new CustomEvent("part"));
}, 700);

/** @param {HTMLElement} within */
function places(within) { return [...within.querySelectorAll("a, button, summary, [tabindex]")]; }

/** @param {number} [every] seconds after which the part is fetched although nothing happened */
export function startPart(every = 0) {
  const wanted = (part().dataset.live || "").split(" ").filter(Boolean);
  hear("/api/events", (name) => { if (wanted.some((each) => name.startsWith(each))) refreshPart(); }, () => {});
  if (every) setInterval(() => { if (!document.hidden) refreshPart(); }, every * 1000);
  document.documentElement.dataset.ready = "true";
}
