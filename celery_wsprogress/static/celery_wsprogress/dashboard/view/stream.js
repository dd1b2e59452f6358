/**
 * The list of the newest events of all operations; it can be paused.
 *
 * Runs in: a page.
 */

import { found, make, mark, write } from "./dom.js";
import { RecentEvents } from "../model/recent_events.js";
import { addressOf } from "../model/routing.js";
import { timeOfDay, summary, eventTone } from "../model/format.js";
import { visibleRange } from "../../element/virtual_list.js";

/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */
/** @import { Entry } from "../model/recent_events.js" */

/** The height of a line, as in the style sheet. */
const LINE_REM = 1.375;

/** Minimum milliseconds between two changes, so that they can be read. */
const REFRESH_INTERVAL = 250;

export class Stream {
  #recentEvents = new RecentEvents();
  #toggle = found("events-toggle");
  #pause = found("events-pause");
  #scroller = found("events");
  #list = found("events-body");
  #view = { top: 0, height: 0, row: 22 };
  #scrolled = false;
  #paintedAt = -Infinity;

  /** @param {() => void} onChange Called when it must be painted. */
  constructor(onChange) {
    this.#toggle.addEventListener("click", () => {
      const hidden = (this.#scroller.hidden = this.#pause.hidden = !this.#scroller.hidden);
      mark(this.#toggle, "aria-expanded", String(!hidden));
      onChange();
    });
    const move = () => {
      const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
      const { scrollTop: top, clientHeight: height } = this.#scroller;
      this.#view = { top, height, row: LINE_REM * rem };
      this.#scrolled = true;
      onChange();
    };
    this.#scroller.addEventListener("scroll", move, { passive: true });
    new ResizeObserver(move).observe(this.#scroller);
    this.#pause.addEventListener("click", () => {
      if (this.#recentEvents.paused) this.#recentEvents.resume();
      else this.#recentEvents.pause();
      mark(this.#pause, "aria-pressed", String(this.#recentEvents.paused));
      onChange();
    });
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  push(event, operation) {
    this.#recentEvents.push(event, operation);
  }

  /**
   * @returns {number} Milliseconds until the next paint is due; 0 if none is.
   */
  paint() {
    if (this.#scroller.hidden) return 0;
    const { paused, missed } = this.#recentEvents;
    write(this.#pause, paused ? `Go on${missed ? ` (${missed} more)` : ""}` : "Pause");
    const left = this.#paintedAt + REFRESH_INTERVAL - performance.now();
    const settled = left <= 0 && this.#recentEvents.refresh();
    if (settled) this.#paintedAt = performance.now();
    if (settled || this.#scrolled) this.#paintLines(this.#recentEvents.shown);
    this.#scrolled = false;
    return Math.max(left, 0);
  }

  /** @param {Entry[]} shown */
  #paintLines(shown) {
    const { row } = this.#view;
    const { first, last } = visibleRange(this.#view, shown.length);
    this.#list.style.height = `${shown.length * row}px`;
    while (this.#list.childElementCount > last - first) this.#list.lastElementChild?.remove();
    while (this.#list.childElementCount < last - first) this.#list.append(makeLine());
    for (let index = first; index < last; index += 1) {
      const line = /** @type {HTMLElement} */ (this.#list.children[index - first]);
      line.style.transform = `translateY(${index * row}px)`;
      mark(line, "aria-posinset", String(index + 1));
      mark(line, "aria-setsize", String(shown.length));
      paintLine(line, shown[index]);
    }
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
  mark(line, "data-tone", eventTone(event));
  write(time, timeOfDay(event.timestamp));
  write(kind, event.event_type);
  write(link, type || event.operation_id);
  mark(link, "href", addressOf(event.operation_id));
  write(said, summary(event));
}
