// The groups page: make a group.

import "./site.js";
import { api, attempt } from "./api.js";
import { startPart } from "./part.js";

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("make-group"));
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(form);
  attempt(async () => {
    const made = await api("POST", "/groups", { name: given.get("name"), description: given.get("description") || null });
    location.assign(`/groups/${made.group_id}`);
  });
});
startPart();
