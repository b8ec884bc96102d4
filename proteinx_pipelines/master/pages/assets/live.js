// The stream of events: one connection a page, closed while nobody looks, healed by itself, its loss said at the top.

// Every event that the Master records: a stream tells only those that are asked for by name.
const NAMES = ["job.created", "job.state", "job.cancelling", "job.moved", "job.progress", "job.deleted", "job.restored", "job.late_result", "node.joined", "node.back", "node.lost", "node.drained", "node.undrained", "node.lent", "node.returned", "queue.paused", "queue.resumed", "dataset.created", "dataset.removed", "model.alias", "group.created", "unit.submitted"];
const SAID_AFTER_MS = 1500;
const LONGEST_WAIT_MS = 15_000;

/** Hear events until the page goes.
 * @param {string} address @param {(name: string, data: any) => void} heard
 * @param {() => void} [caughtUp] called whenever a connection begins: what happened before may have been missed
 * @param {string[]} names */
export function hear(address, heard, caughtUp = () => {}, names = NAMES) {
  const banner = document.getElementById("connection");
  /** @type {EventSource | null} */
  let stream = null;
  let wait = 500;
  let saying = 0;
  let ended = false;
  let last = ""; // a stream that is opened again goes on behind it
  /** @param {boolean} lost */
  const lost = (lost) => {
    clearTimeout(saying);
    if (!banner) return;
    if (!lost) banner.hidden = true;
    else saying = window.setTimeout(() => { banner.hidden = false; }, SAID_AFTER_MS);
    document.documentElement.dataset.live = String(!lost);
  };
  const open = () => {
    if (stream || ended || document.hidden) return;
    const behind = last ? `${address.includes("?") ? "&" : "?"}after=${encodeURIComponent(last)}` : "";
    stream = new EventSource(address + behind);
    stream.addEventListener("open", () => { wait = 500; lost(false); caughtUp(); });
    stream.addEventListener("error", () => {
      if (ended) { stream?.close(); return; }
      lost(true);
      if (stream?.readyState !== EventSource.CLOSED) return; // it tries again by itself
      stream = null;
      setTimeout(open, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    });
    const take = (/** @type {MessageEvent} */ event) => {
      if (event.lastEventId) last = event.lastEventId;
      if (event.type === "end") ended = true;
      let data = {};
      try { data = JSON.parse(event.data); } catch { return; }
      heard(event.type === "message" ? /** @type {any} */ (data).event || "message" : event.type, data);
    };
    stream.addEventListener("message", take);
    [...names, "end"].forEach((name) => stream?.addEventListener(name, take));
  };
  const close = () => { stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
}

/** Run `work` soon, at most once in `gap` milliseconds, never twice at a time.
 * @param {() => Promise<any>} work @param {number} gap */
export function seldom(work, gap) {
  let timer = 0;
  let busy = false;
  let again = false;
  let last = 0;
  const run = async () => {
    timer = 0;
    busy = true;
    again = false;
    last = Date.now();
    try { await work(); } catch (error) { if (!(error instanceof Error)) throw error; } finally { busy = false; }
    if (again) ask();
  };
  const ask = () => {
    again = true;
    if (!busy && !timer) timer = window.setTimeout(run, Math.max(30, last + gap - Date.now()));
  };
  return ask;
}
