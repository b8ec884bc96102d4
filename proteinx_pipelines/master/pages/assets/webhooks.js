// The webhooks page: subscribe, unsubscribe, send again.

import "./site.js";
import { api, attempt, tell } from "./api.js";
import { refreshPart, startPart } from "./part.js";
import { say } from "./say.js";

const form = /** @type {HTMLFormElement} */ (document.getElementById("make-webhook"));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(form);
  attempt(async () => {
    const made = await api("POST", "/webhooks", { url: given.get("url"), kind: given.get("kind"), events: given.getAll("events") });
    const place = /** @type {HTMLElement} */ (document.getElementById("new-secret"));
    place.hidden = false;
    /** @type {HTMLElement} */ (place.querySelector("code")).textContent = made.secret;
    place.querySelector("[data-copy]")?.setAttribute("data-copy", made.secret);
    form.reset();
    refreshPart();
  });
});
document.addEventListener("click", async (event) => {
  const press = event.target instanceof Element ? event.target.closest("[data-remove], [data-again]") : null;
  const hook = /** @type {HTMLElement | null} */ (press?.closest("[data-id]"));
  if (!press || !hook) return;
  if (press.hasAttribute("data-again")) {
    const id = press.closest("tr")?.dataset.delivery;
    if (await attempt(() => api("POST", `/webhooks/deliveries/${id}/send`))) tell(say("did.send_again"));
  } else if (window.confirm(say("ask.unsubscribe", { url: hook.querySelector("h2")?.textContent }))) {
    if (await attempt(() => api("DELETE", `/webhooks/${hook.dataset.id}`))) tell(say("did.unsubscribe"));
  }
  refreshPart();
});
startPart(10);
