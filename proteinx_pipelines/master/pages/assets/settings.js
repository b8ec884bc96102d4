// The settings page: make a token, which is shown once, and revoke one.

import "./site.js";
import { api, attempt, tell } from "./api.js";
import { refreshPart, startPart } from "./part.js";
import { say } from "./say.js";

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
if (form) startPart();
else document.documentElement.dataset.ready = "true";
