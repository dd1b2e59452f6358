/**
 * The newest events of everything, as a list that can be held still.
 *
 * Runs in: a page.
 */

import { found, make, mark, write } from "./dom.js";
import { Recent } from "./recent.js";
import { addressOf } from "./routing.js";
import { clockOf, told, toneOfEvent } from "./telling.js";

/** @import { Operation, ProgressEvent } from "../protocol.js" */
/** @import { Entry } from "./recent.js" */

/** Milliseconds between two changes: faster than that nobody reads. */
const EVERY = 250;

export class Stream {
  #recent = new Recent();
  #toggle = found("events-toggle");
  #pause = found("events-pause");
  #list = found("events-body");
  #paintedAt = -Infinity;

  /** @param {() => void} onChange It is to be painted. */
  constructor(onChange) {
    this.#toggle.addEventListener("click", () => {
      this.#list.hidden = !this.#list.hidden;
      mark(this.#toggle, "aria-expanded", String(!this.#list.hidden));
      this.#pause.hidden = this.#list.hidden;
      onChange();
    });
    this.#pause.addEventListener("click", () => {
      if (this.#recent.paused) this.#recent.resume();
      else this.#recent.pause();
      mark(this.#pause, "aria-pressed", String(this.#recent.paused));
      onChange();
    });
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  push(event, operation) {
    this.#recent.push(event, operation);
  }

  /**
   * @returns {number} Milliseconds after which there is something else to be seen; 0 where not.
   */
  paint() {
    if (this.#list.hidden) return 0;
    const { paused, missed } = this.#recent;
    write(this.#pause, paused ? `Go on${missed ? ` (${missed} more)` : ""}` : "Pause");
    const left = this.#paintedAt + EVERY - performance.now();
    if (left > 0) return left;
    if (this.#recent.settle()) {
      this.#paintedAt = performance.now();
      this.#paintLines(this.#recent.shown);
    }
    return 0;
  }

  /** @param {Entry[]} shown */
  #paintLines(shown) {
    while (this.#list.childElementCount < shown.length) this.#list.append(makeLine());
    shown.forEach((entry, index) => paintLine(this.#list.children[index], entry));
  }
}

function makeLine() {
  const part = (/** @type {string} */ name) => make("span", { class: name, dir: "auto" });
  return make("li", {}, make("time"), part("kind"), make("a", { dir: "auto" }), part("said"));
}

/**
 * @param {Element} line
 * @param {Entry} entry
 */
function paintLine(line, { event, type }) {
  const [time, kind, link, said] = line.children;
  mark(line, "data-tone", toneOfEvent(event));
  write(time, clockOf(event.timestamp));
  write(kind, event.event_type);
  write(link, type || event.operation_id);
  mark(link, "href", addressOf(event.operation_id));
  write(said, told(event));
}
