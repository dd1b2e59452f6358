/**
 * A row of the table, with one operation.
 *
 * Runs in: a page.
 */

import { make, mark, write } from "./dom.js";
import { renderPhases } from "../../element/phases.js";
import { addressOf } from "../model/routing.js";
import { momentOf, operationTone, rowCells, startOf } from "../model/format.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { TableRow } from "../model/workflow_steps.js" */

/** The template that is cloned for each row. @type {HTMLElement | undefined} */
let pattern;

/** Maximum number of tags. */
const MAX_TAGS = 3;

export class Row {
  element;

  #parts;
  #top = -1;
  #level = 1;
  /** @type {Operation | null} */
  #operation = null;
  #second = 0;

  /** @param {string} id */
  constructor(id) {
    this.id = id;
    pattern ??= build();
    this.element = /** @type {HTMLElement} */ (pattern.cloneNode(true));
    this.#parts = partsOf(this.element);
    this.#parts.type.setAttribute("href", addressOf(id));
    write(this.#parts.id, id);
  }

  /**
   * Move the row to an index.
   *
   * @param {number} index
   * @param {number} height The height of a row.
   */
  place(index, height) {
    const top = index * height;
    if (this.#top === top) return;
    this.#top = top;
    this.element.style.transform = `translateY(${top}px)`;
    // Index 1 is the header; indices count from 1.
    this.element.setAttribute("aria-rowindex", String(index + 2));
  }

  /**
   * Indent it as a step of a workflow, or let it be unfolded as a workflow.
   *
   * @param {TableRow} row
   */
  nest({ level, unfolded }) {
    const { element } = this;
    mark(element, "aria-level", String(level));
    mark(element, "aria-expanded", unfolded === null ? null : String(unfolded));
    if (this.#level === level) return;
    this.#level = level;
    element.style.setProperty("--level", String(level - 1));
  }

  /**
   * @param {Operation} operation
   * @param {number} now Epoch seconds.
   * @returns {boolean} Whether the snapshot has changed.
   */
  paint(operation, now) {
    const second = operation.duration === null ? Math.floor(now) : 0;
    const fresh = this.#operation !== operation;
    if (!fresh && this.#second === second) return false;
    const { type, percent, ...cells } = rowCells(operation, now);
    const parts = this.#parts;
    const name = type.slice(type.lastIndexOf(".") + 1);
    mark(parts.type, "title", type);
    write(parts.module, type.slice(0, type.length - name.length));
    write(parts.name, name);
    write(parts.percent, percent);
    for (const name of /** @type {const} */ (["state", "message", "rate", "left", "time", "started", "worker", "attempt"])) {
      write(parts[name], cells[name]);
    }
    const started = startOf(operation);
    mark(parts.started, "title", started === null ? null : momentOf(started));
    if (this.#operation?.tags !== operation.tags) this.#paintTags(operation.tags);
    mark(this.element, "data-tone", operationTone(operation));
    const hasPhases = renderPhases(parts.bar, operation);
    this.element.classList.toggle("indeterminate", operation.indeterminate && !hasPhases);
    parts.fill.style.transform = `scaleX(${operation.progress})`;
    this.#operation = operation;
    this.#second = second;
    return fresh;
  }

  /** @param {string[]} tags */
  #paintTags(tags) {
    const shown = tags.slice(0, MAX_TAGS).map((tag) => make("span", { class: "tag" }, tag));
    this.#parts.tags.replaceChildren(...shown);
  }
}

function build() {
  const cell = (/** @type {string} */ name, /** @type {Node[]} */ ...children) =>
    make("div", { role: "gridcell", class: `cell ${name}` }, ...children);
  const part = (/** @type {string} */ name) => make("span", { "data-part": name, dir: "auto" });
  // In a narrow column the module name is cut, because the last part distinguishes tasks.
  const type = { "data-part": "type", tabindex: "-1", dir: "auto" };
  const link = make("a", type, part("module"), part("name"));
  // For the pointer; on the keyboard it is the arrows of the row.
  const fold = make("span", { "data-part": "fold", "aria-hidden": "true", title: "Steps" });
  const looks = { class: "bar", "data-part": "bar", "aria-hidden": "true" };
  const bar = make("span", looks, part("fill"), make("span", { class: "phases" }));
  return make(
    "div",
    { role: "row", class: "row", tabindex: "-1" },
    cell("state", part("state")),
    cell("task", fold, link, make("span", { class: "under" }, part("id"), part("tags"))),
    cell("progress", make("span", { class: "over" }, bar, part("percent")), part("message")),
    cell("rate number", part("rate")),
    cell("left number", part("left")),
    cell("time number", part("time")),
    cell("started number", part("started")),
    cell("worker", part("worker")),
    cell("attempt number", part("attempt")),
  );
}

/**
 * @param {HTMLElement} element
 * @returns {Record<string, HTMLElement>}
 */
function partsOf(element) {
  const parts = /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("[data-part]"));
  return Object.fromEntries([...parts].map((one) => [one.dataset.part, one]));
}
