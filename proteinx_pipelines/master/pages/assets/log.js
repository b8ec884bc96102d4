// A log that grows: follows its end until the reader scrolls up, finds lines, keeps the newest ones.

import { hear } from "./live.js";
import { say } from "./say.js";

const MOST = 5000;

/** @param {string} address */
export function followLog(address) {
  const place = /** @type {HTMLElement} */ (document.getElementById("log-lines"));
  const follow = /** @type {HTMLInputElement} */ (document.getElementById("log-follow"));
  const find = /** @type {HTMLInputElement} */ (document.getElementById("log-find"));
  const state = /** @type {HTMLElement} */ (document.getElementById("log-state"));
  let empty = true;
  /** @type {HTMLElement[]} */
  let waiting = [];
  const matches = (/** @type {HTMLElement} */ line) => (line.textContent || "").toLowerCase().includes(find.value.toLowerCase());
  const flush = () => {
    if (empty) place.replaceChildren();
    empty = false;
    place.append(...waiting);
    waiting = [];
    while (place.childElementCount > MOST) place.firstElementChild?.remove();
    if (follow.checked) place.scrollTop = place.scrollHeight;
  };
  hear(address, (name, data) => {
    if (name === "end") { state.textContent = say("log_complete"); return; }
    if (data.text === undefined) return;
    const line = document.createElement("span");
    line.className = /\b(error|failed|traceback)\b/i.test(data.text) ? "line bad" : "line";
    const time = document.createElement("time");
    time.textContent = String(data.time || "").slice(11, 19);
    time.title = String(data.time || "");
    line.append(time, ` ${data.text}\n`);
    line.hidden = !matches(line);
    if (!waiting.length) requestAnimationFrame(flush);
    waiting.push(line);
  }, undefined, ["end"]);
  place.addEventListener("scroll", () => {
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 24;
    if (follow.checked !== atEnd) follow.checked = atEnd;
  });
  follow.addEventListener("change", () => { if (follow.checked) place.scrollTop = place.scrollHeight; });
  find.addEventListener("input", () => { for (const line of place.children) /** @type {HTMLElement} */ (line).hidden = !matches(/** @type {HTMLElement} */ (line)); });
}
