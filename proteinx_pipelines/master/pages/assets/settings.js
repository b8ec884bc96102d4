// The settings page: make a token, which is shown once, and revoke one.

import "./site.js";
import { api, attempt, button, tell } from "./api.js";
import { refreshPart, startPart } from "./part.js";
import { say, size } from "./say.js";

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("make-token"));
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(form);
  attempt(async () => {
    const made = await api("POST", "/tokens", { name: given.get("name"), scopes: given.getAll("scopes") });
    const place = /** @type {HTMLElement} */ (document.getElementById("new-token"));
    place.hidden = false;
    /** @type {HTMLElement} */ (place.querySelector("code")).textContent = made.token;
    place.querySelector("[data-copy]")?.setAttribute("data-copy", made.token);
    form.reset();
    refreshPart();
  });
});
document.addEventListener("click", async (event) => {
  const row = event.target instanceof Element && event.target.closest("[data-revoke]") ? event.target.closest("tr") : null;
  if (!row || !window.confirm(say("ask.revoke", { name: row.dataset.name }))) return;
  if (await attempt(() => api("DELETE", `/tokens/${row.dataset.id}`))) tell(say("did.revoke", { name: row.dataset.name }));
  refreshPart();
});
document.addEventListener("click", async (event) => {
  const press = event.target instanceof Element ? event.target.closest("[data-restore]") : null;
  if (!press) return;
  if (await attempt(() => api("POST", `/jobs/${press.getAttribute("data-restore")}/restore`, {}))) tell(say("did.restore", { n: 1 }));
  refreshPart();
});
const clean = /** @type {HTMLFormElement | null} */ (document.getElementById("clean"));
clean?.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(clean);
  const most = String(given.get("budget_gb") || "");
  const budget = { ...(most ? { budget_gb: Number(most) } : {}), ...(given.get("empty_trash") ? { empty_trash: true } : {}) };
  attempt(async () => showFindings(await api("POST", "/admin/cleanup", { dry_run: true, ...budget }), budget));
});

/** What may go, and the button that removes it. @param {any} found @param {object} budget */
function showFindings(found, budget) {
  const place = /** @type {HTMLElement} */ (document.getElementById("findings"));
  const told = document.createElement("p");
  told.textContent = say("cleanup_found", { n: found.items.length, freed: size(found.freed_bytes), used: size(found.used_bytes) });
  place.replaceChildren(told);
  if (!found.items.length) return;
  const press = button(say("cleanup_remove", { freed: size(found.freed_bytes) }), async () => {
    if (!window.confirm(say("ask.cleanup", { n: found.items.length, freed: size(found.freed_bytes) }))) return;
    await attempt(async () => {
      const done = await api("POST", "/admin/cleanup", { dry_run: false, ...budget });
      place.replaceChildren();
      tell(say("did.cleanup", { freed: size(done.removed_bytes) }));
    });
  });
  press.className = "danger";
  const list = document.createElement("ul");
  list.append(...found.items.slice(0, 20).map((/** @type {any} */ item) => Object.assign(document.createElement("li"), { textContent: [item.name, size(item.bytes), item.reason].join(" · ") })));
  place.append(list, press);
}
if (form) startPart();
else document.documentElement.dataset.ready = "true";
