// What every page does: times stay true, ids can be copied. Pages import it and add their own.

import { tell } from "./api.js";
import { ago, say } from "./say.js";

function refreshTimes() {
  for (const each of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[datetime]"))) {
    const text = ago(each.dateTime);
    if (each.textContent !== text) each.textContent = text;
  }
}
setInterval(() => { if (!document.hidden) refreshTimes(); }, 5000);

document.addEventListener("click", async (event) => {
  const copied = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
  if (!copied) return;
  await navigator.clipboard.writeText(copied.getAttribute("data-copy") || "");
  tell(say("copied"));
});
document.documentElement.dataset.site = "true";
