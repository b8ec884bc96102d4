// Selected rows: by box, with Shift from the last one to this one, all at once. They stay selected when rows change.

/** Verb -> the states in which it does something; any state where it is not named. */
const STATES = /** @type {Record<string, string[]>} */ ({
  cancel: ["HELD", "WAITING", "ASSIGNED", "RUNNING"],
  retry: ["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"],
  hold: ["WAITING"],
  release: ["HELD"],
  priority: ["HELD", "WAITING"],
  delete: ["SUCCEEDED", "FAILED", "CANCELLED", "REJECTED"],
});

export class Selection {
  /** @param {() => HTMLElement} list */
  constructor(list) {
    this.list = list;
    /** @type {Map<string, {id: string, state: string, name: string}>} */
    this.chosen = new Map();
    /** @type {string | null} */
    this.last = null;
    /** @type {() => void} */
    this.changed = () => {};
    this.shift = false;
    document.addEventListener("click", (event) => { this.shift = event.shiftKey; }, true);
    document.addEventListener("change", (event) => this.take(/** @type {HTMLElement} */ (event.target)));
  }

  get size() { return this.chosen.size; }

  ids() { return [...this.chosen.keys()]; }

  rows() { return [...this.chosen.values()]; }

  /** Verbs that do something to at least one of the selected. */
  verbs() {
    const states = new Set(this.rows().map((row) => row.state));
    const found = new Set(["none"]);
    for (const [verb, wanted] of Object.entries(STATES)) if (wanted.some((state) => states.has(state))) found.add(verb);
    if (this.size === 1) found.add("clone");
    if (this.size >= 2) found.add("compare");
    return found;
  }

  clear() { this.chosen.clear(); this.shown(); }

  /** @param {HTMLElement} target */
  take(target) {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.id === "pick-all") this.boxes().forEach((box) => this.set(box, target.checked));
    else if (target.name === "id") {
      const boxes = this.boxes();
      const [from, to] = [boxes.findIndex((box) => box.value === this.last), boxes.indexOf(target)];
      if (this.shift && from >= 0) boxes.slice(Math.min(from, to), Math.max(from, to) + 1).forEach((box) => this.set(box, target.checked));
      else this.set(target, target.checked);
      this.last = target.value;
    } else return;
    this.shown();
  }

  boxes() { return [.../** @type {NodeListOf<HTMLInputElement>} */ (this.list().querySelectorAll("input[name=id]"))]; }

  /** @param {HTMLInputElement} box @param {boolean} on */
  set(box, on) {
    const row = /** @type {HTMLElement} */ (box.closest("tr"));
    if (on) this.chosen.set(box.value, { id: box.value, state: row.dataset.state || "", name: row.dataset.name || "" });
    else this.chosen.delete(box.value);
  }

  /** Mark the boxes of rows that come. @param {ParentNode} part */
  keep(part) {
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (part.querySelectorAll("input[name=id]"))) {
      if (!this.chosen.has(box.value)) continue;
      box.checked = true;
      this.set(box, true);
    }
  }

  /** Make boxes and rows say what is selected. */
  shown() {
    const boxes = this.boxes();
    for (const box of boxes) {
      box.checked = this.chosen.has(box.value);
      box.closest("tr")?.classList.toggle("picked", box.checked);
    }
    const all = /** @type {HTMLInputElement | null} */ (document.getElementById("pick-all"));
    if (all) {
      all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
      all.indeterminate = !all.checked && boxes.some((box) => box.checked);
    }
    this.changed();
  }
}
