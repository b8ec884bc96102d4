// The nodes page: drain a node, or let it take jobs again.

import "./site.js";
import { api, attempt, tell } from "./api.js";
import { refreshPart, startPart } from "./part.js";
import { say } from "./say.js";

/** @param {string} name @param {boolean} drained */
const setDrained = (name, drained) => api("POST", `/nodes/${encodeURIComponent(name)}/${drained ? "drain" : "undrain"}`);

document.addEventListener("click", async (event) => {
  const press = event.target instanceof Element ? event.target.closest("[data-drain]") : null;
  if (!press) return;
  const name = press.closest("tr")?.dataset.node || "";
  const drained = press.getAttribute("data-drain") === "true";
  const done = await attempt(() => setDrained(name, drained));
  if (done) tell(say(drained ? "drained" : "undrained", { name }), { undo: async () => { await setDrained(name, !drained); refreshPart(); } });
  refreshPart();
});
startPart(5);
