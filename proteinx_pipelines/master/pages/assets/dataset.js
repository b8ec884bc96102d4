// The page of one data set: its figures answer, and it can be deleted.

import "./site.js";
import "./page.js";
import { api, attempt } from "./api.js";
import { say } from "./say.js";

document.getElementById("remove")?.addEventListener("click", async (event) => {
  const { id, name } = /** @type {HTMLElement} */ (event.currentTarget).dataset;
  if (!window.confirm(say("ask.remove_dataset", { name }))) return;
  if (await attempt(() => api("DELETE", `/datasets/${id}`))) location.assign("/datasets");
});
