// The compare page: figures and tables as in the report; the ranking follows the chosen metric at once.

import "./site.js";
import "./page.js";

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("by"));
form?.querySelector("select")?.addEventListener("change", () => form.requestSubmit());
