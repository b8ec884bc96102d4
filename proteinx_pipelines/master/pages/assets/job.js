// The page of a job: what it does now, verbs, live log, live curves, files.

import "./site.js";
import { fragment } from "./api.js";
import { LiveCurves } from "./live_curves.js";
import { hear, seldom } from "./live.js";
import { followLog } from "./log.js";
import { act, keepDeleted } from "./verbs.js";

const standing = () => /** @type {HTMLElement} */ (document.getElementById("standing"));
const id = standing().dataset.id || "";
const ENDED = ["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"];

const refresh = seldom(async () => {
  if (document.activeElement?.id === "priority") return;
  const next = (await fragment(location.pathname, "standing")).getElementById("standing");
  if (!next) return;
  const before = standing().dataset.state;
  const verb = document.activeElement?.closest("#standing [data-verb]")?.getAttribute("data-verb");
  standing().replaceWith(next);
  if (verb) /** @type {HTMLElement | null} */ (next.querySelector(`[data-verb=${verb}]`))?.focus();
  if (before !== next.dataset.state && ENDED.includes(next.dataset.state || "")) showFiles();
}, 400);

async function showFiles() {
  const next = (await fragment(`/jobs/${id}/files`)).getElementById("file-list");
  if (next) document.getElementById("file-list")?.replaceWith(next);
}

document.addEventListener("click", async (event) => {
  const verb = event.target instanceof Element ? event.target.closest("#standing [data-verb]")?.getAttribute("data-verb") : null;
  if (!verb) return;
  const row = { id, state: standing().dataset.state || "", name: standing().dataset.name || "" };
  const priority = /** @type {HTMLInputElement | null} */ (document.getElementById("priority"));
  const created = await act(verb, [row], Number(priority?.value));
  if (!created) return;
  priority?.blur();
  if (verb === "delete") { keepDeleted([row]); location.assign("/jobs"); }
  else if (verb === "retry" && created[0]) location.assign(`/jobs/${created[0]}`);
  else refresh();
});

hear(`/api/jobs/${id}/events`, (name) => { if (name !== "job.deleted") refresh(); }, () => refresh());
followLog(`/api/jobs/${id}/logs`);
const curves = new LiveCurves(/** @type {HTMLElement} */ (document.getElementById("curve-list")));
hear(`/api/jobs/${id}/metrics`, (name, value) => {
  if (name === "end") return;
  curves.add(value);
  /** @type {HTMLElement} */ (document.getElementById("curves-section")).hidden = curves.isEmpty;
});
showFiles();
document.documentElement.dataset.ready = "true";
