// Requests to the public API, and messages at the foot of the page with their undo.

import { say } from "./say.js";

const UNDO_MS = 10_000;

/** An answer that says no; its words are for people. */
export class Refused extends Error {
  /** @param {number} status @param {any} problem */
  constructor(status, problem) {
    super(problem.detail || say("refused", { status }));
    this.status = status;
    this.code = problem.code || "";
    /** @type {string[]} */
    this.problems = problem.problems || [];
  }
}

/** A request to `/api`; gives the answer's JSON. @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers] */
export async function api(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(`/api${path}`, {
      method,
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, { detail: say("unreachable") });
  }
  const text = await answer.text();
  let found = {};
  try {
    found = JSON.parse(text || "{}");
  } catch {
    found = { detail: text.slice(0, 300) };
  }
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!answer.ok) throw new Refused(answer.status, found);
  return found;
}

/** A part of a page as elements; with `form`, asked for by POST. @param {string} address @param {string} [part] @param {Record<string, string>} [form] */
export async function fragment(address, part, form) {
  const answer = await fetch(address, { headers: part ? { "X-Fragment": part } : {}, ...(form ? { method: "POST", body: new URLSearchParams(form) } : {}) });
  if (answer.redirected && new URL(answer.url).pathname === "/login") location.assign(answer.url);
  if (!answer.ok) throw new Refused(answer.status, {});
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Say something; with `undo`, for ten seconds with a button that takes it back.
 * @param {string} text @param {{bad?: boolean, undo?: () => Promise<any>}} options */
export function tell(text, { bad = false, undo } = {}) {
  const place = /** @type {HTMLElement} */ (document.getElementById("messages"));
  const message = document.createElement("div");
  message.className = bad ? "message bad" : "message";
  message.append(Object.assign(document.createElement("span"), { textContent: text }));
  const end = () => message.remove();
  if (undo) message.append(button(say("undo"), async () => { end(); await attempt(async () => { await undo(); tell(say("undone")); }); }));
  message.append(button("✕", end, say("close")));
  place.append(message);
  while (place.children.length > 3) place.firstElementChild?.remove();
  if (!bad) setTimeout(end, UNDO_MS);
}

/** Do something; a refusal is told. Gives whether it was done. @param {() => Promise<any>} work */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell([error.message, ...error.problems.slice(0, 5).filter((each) => !error.message.includes(each))].join(" "), { bad: true });
    return false;
  }
}

/** @param {string} text @param {() => any} pressed @param {string} [label] */
export function button(text, pressed, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", pressed);
  return made;
}
