// The page of one group: sweeps are added, submitted, and their results sort and fill by themselves.

import "./site.js";
import { api, attempt, Refused, tell } from "./api.js";
import { refreshPart, startPart } from "./part.js";
import { pairs } from "./pairs.js";
import { say } from "./say.js";
import { enliven } from "./table.js";

const liven = () => document.querySelectorAll("table.live").forEach((table) => enliven(/** @type {HTMLTableElement} */ (table)));

/** @param {string} id */
const textOf = (id) => /** @type {HTMLTextAreaElement} */ (document.getElementById(id)).value;
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("make-unit"));
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const problems = /** @type {HTMLElement} */ (document.getElementById("problems"));
  problems.replaceChildren();
  attempt(async () => {
    try {
      const grid = pairs(textOf("grid"));
      for (const name of Object.keys(grid)) if (!Array.isArray(grid[name])) grid[name] = [grid[name]];
      const unit = await api("POST", `/groups/${form.dataset.id}/units`, { flags: pairs(textOf("base")), grid });
      tell(say("unit_made", { id: unit.unit_id }));
      refreshPart();
    } catch (error) {
      if (error instanceof Refused) problems.replaceChildren(...error.problems.map((each) => Object.assign(document.createElement("li"), { textContent: each })));
      throw error;
    }
  });
});
document.addEventListener("click", async (event) => {
  const press = event.target instanceof Element ? event.target.closest("[data-submit-unit]") : null;
  if (!press) return;
  const unit = press.getAttribute("data-submit-unit") || "";
  if (await attempt(() => api("POST", `/units/${unit}/submit`))) tell(say("unit_submitted", { id: unit }));
  refreshPart();
});
document.addEventListener("part", liven);
liven();
startPart();
