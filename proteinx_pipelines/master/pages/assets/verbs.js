// Verbs on jobs: what they destroy is named before, what can be taken back can be taken back for ten seconds.

import { api, attempt, tell } from "./api.js";
import { say } from "./say.js";

/** @typedef {{id: string, state: string, name: string}} Row */

const OPPOSITE = /** @type {Record<string, string>} */ ({ hold: "release", release: "hold", delete: "restore" });

/** Do a verb to jobs, and say so. Gives the ids of the jobs it created, null where it was not done.
 * @param {string} verb @param {Row[]} rows @param {number} [priority] */
export async function act(verb, rows, priority) {
  const running = rows.filter((row) => row.state === "RUNNING" || row.state === "ASSIGNED");
  const destroys = verb === "cancel" && running.length > 0;
  if (destroys && !window.confirm(say(`ask.${verb}`, { n: rows.length, names: rows.slice(0, 5).map((row) => row.name).join(", "), running: running.length }))) return null;
  /** @type {string[]} */
  let created = [];
  const isDone = await attempt(async () => {
    const before = verb === "priority" ? await Promise.all(rows.slice(0, 50).map((row) => api("GET", `/jobs/${row.id}`))) : [];
    const answer = await send(verb, rows.map((row) => row.id), priority);
    const done = answer.done.length;
    if (answer.refused.length) tell(`${say("some_refused", { n: answer.refused.length })} ${answer.refused[0].detail}`, { bad: true });
    if (done) tell(say(`did.${verb}`, { n: done, priority: priority ?? 0 }), { undo: undoOf(verb, rows.filter((row) => answer.done.includes(row.id)), before) });
    created = answer.created;
  });
  return isDone ? created : null;
}

/** @param {string} verb @param {string[]} ids @param {number} [priority] */
function send(verb, ids, priority) {
  return api("POST", "/jobs/actions", { action: verb, ids, ...(verb === "priority" ? { priority } : {}) });
}

/** Remember deleted jobs for the page that is opened next, which offers to take it back. @param {Row[]} rows */
export function keepDeleted(rows) { sessionStorage.setItem("deleted", JSON.stringify(rows.map((row) => row.id))); }

/** Say what the page before has deleted, with its undo. */
export function tellDeleted() {
  const ids = JSON.parse(sessionStorage.getItem("deleted") || "[]");
  sessionStorage.removeItem("deleted");
  if (ids.length) tell(say("did.delete", { n: ids.length }), { undo: () => send("restore", ids) });
}

/** @param {string} verb @param {Row[]} rows @param {any[]} before */
function undoOf(verb, rows, before) {
  const ids = rows.map((row) => row.id);
  if (OPPOSITE[verb]) return () => send(OPPOSITE[verb], ids);
  if (verb === "priority" && before.length === rows.length) {
    return async () => { for (const job of before) await api("PATCH", `/jobs/${job.job_id}`, { priority: job.priority }); };
  }
  const waiting = rows.filter((row) => row.state === "WAITING" || row.state === "HELD");
  if (verb === "cancel" && waiting.length === rows.length) return () => send("retry", ids);
  return undefined;
}
