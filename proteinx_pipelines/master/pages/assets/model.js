// The page of one model: names, and a box to predict with.

import "./site.js";
import { api, attempt, fragment, tell } from "./api.js";
import { say } from "./say.js";
import { shown } from "./scale.js";
import { enliven } from "./table.js";

const COLUMNS = ["mutant", "prediction", "low", "high", "deviation", "p_better_than_wild_type", "mut_num", "nearest", "remarks"];
const aliases = () => /** @type {HTMLElement} */ (document.getElementById("aliases"));
const id = aliases().dataset.id || "";

async function refreshAliases() {
  const next = (await fragment(location.pathname)).getElementById("aliases");
  if (next) aliases().replaceWith(next);
}
document.getElementById("name")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.currentTarget);
  const name = String(new FormData(form).get("alias"));
  if (await attempt(() => api("PUT", `/models/${id}/aliases/${encodeURIComponent(name)}`))) { form.reset(); tell(say("did.alias", { name })); }
  refreshAliases();
});
document.addEventListener("click", async (event) => {
  const name = event.target instanceof Element && event.target.closest("button") ? event.target.closest("[data-alias]")?.getAttribute("data-alias") : null;
  if (!name) return;
  const address = `/models/${id}/aliases/${encodeURIComponent(name)}`;
  if (await attempt(() => api("DELETE", address))) tell(say("did.drop_alias", { name }), { undo: async () => { await api("PUT", address); refreshAliases(); } });
  refreshAliases();
});

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("predict-form"));
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const state = /** @type {HTMLElement} */ (document.getElementById("predict-state"));
  const press = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  const mutants = /** @type {HTMLTextAreaElement} */ (document.getElementById("variants")).value.split(/[\n,;]+/).map((each) => each.trim()).filter(Boolean);
  press.disabled = true;
  state.textContent = say("predicting", { n: mutants.length });
  await attempt(async () => {
    const answer = await api("POST", `/models/${id}/predict`, { mutants });
    if (answer.predictions === null) location.assign(`/jobs/${answer.job_id}`);
    else show(answer.predictions);
  });
  press.disabled = false;
  state.textContent = "";
});

/** @param {Record<string, any>[]} rows */
function show(rows) {
  const columns = COLUMNS.filter((name) => rows.some((row) => row[name] !== null && row[name] !== undefined && row[name] !== ""));
  const table = document.createElement("table");
  table.className = "rows";
  table.dataset.name = "predictions";
  const head = table.createTHead().insertRow();
  for (const name of columns) head.append(Object.assign(document.createElement("th"), { scope: "col", textContent: name.replaceAll("_", " "), className: typeof rows[0][name] === "number" ? "number" : "" }));
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const name of columns) {
      const cell = line.insertCell();
      const value = Array.isArray(row[name]) ? row[name].join("; ") : row[name];
      cell.textContent = typeof value === "number" ? shown(value) : String(value ?? "–");
      if (typeof value === "number") { cell.className = "number"; cell.dataset.value = String(value); }
    }
  }
  const frame = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", say("predictions"));
  frame.append(table);
  document.getElementById("predictions")?.replaceChildren(frame);
  enliven(table);
}
document.documentElement.dataset.ready = "true";
