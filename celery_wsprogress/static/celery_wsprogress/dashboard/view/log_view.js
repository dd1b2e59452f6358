/**
 * The log of an operation. It scrolls with new lines while the last one is visible.
 *
 * Runs in: a page.
 */

import { make, write } from "./dom.js";
import { timeOfDay, levelTone } from "../model/format.js";

/** @import { LogLine, EventLog } from "../model/event_log.js" */

/** Distance that counts as the end, in pixels. */
const END_TOLERANCE = 8;

export class LogView {
  #list = make("ol", { class: "log", tabindex: "0", "aria-label": "Log" });
  #note = make("p", { class: "note" }, "Earlier lines have been dropped.");
  #heading = make("h3", {}, "Log");
  element = make("section", {}, this.#heading, this.#note, this.#list);
  /** The numbers of the first and last line that are rendered. */
  #first = 0;
  #last = 0;
  #following = true;

  constructor() {
    this.#list.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#list;
      this.#following = scrollTop + clientHeight >= scrollHeight - END_TOLERANCE;
    });
  }

  clear() {
    this.#list.replaceChildren();
    this.#first = this.#last = 0;
    this.#following = true;
  }

  /** @param {EventLog} story */
  paint({ lines, incomplete }) {
    this.element.hidden = !lines.length;
    this.#note.hidden = !incomplete;
    if (!lines.length) return;
    write(this.#heading, `Log, ${lines.length} ${lines.length === 1 ? "line" : "lines"}`);
    const [first, last] = [lines[0].number, lines[lines.length - 1].number];
    if (last === this.#last && first === this.#first) return;
    if (first > this.#last) this.#list.replaceChildren();
    for (let gone = this.#first; gone < first; gone += 1) this.#list.firstChild?.remove();
    const fresh = lines.filter((one) => one.number > this.#last);
    this.#list.append(...fresh.map(makeItem));
    [this.#first, this.#last] = [first, last];
    if (this.#following) this.#list.scrollTop = this.#list.scrollHeight;
  }
}

/** @param {LogLine} line */
function makeItem({ at, level, message }) {
  return make(
    "li",
    { "data-tone": levelTone(level) },
    make("time", {}, timeOfDay(at)),
    make("span", { class: "level" }, level),
    make("span", { class: "said", dir: "auto" }, message),
  );
}
