/**
 * The table of operations. Only visible rows are rendered, and only those whose snapshot has
 * changed are updated.
 *
 * Runs in: a page.
 */

import { found, mark } from "./dom.js";
import { Row } from "./row.js";
import { standInFor } from "../model/workflow_steps.js";
import { keepAnchor, indexForKey, scrollToReveal, visibleRange } from "../../element/virtual_list.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { TableRow } from "../model/workflow_steps.js" */

/** The height of a row, as in the style sheet. */
const ROW_REM = 3.25;

/** Milliseconds for which rows keep their place after a move of the pointer. */
const POINTER_HOLD = 600;

/** Maximum number of painted rows per second with animated bars. */
const MAX_SMOOTH_ROWS = 30;

export class Table {
  #grid = found("grid");
  #body = found("rows");
  /** All rows, from the top. @type {TableRow[]} */
  #order = [];
  /** The rendered rows, by operation id. @type {Map<string, Row>} */
  #rows = new Map();
  /** The row with the tab stop. @type {string | null} */
  #active = null;
  /** The open operation. @type {string | null} */
  #selected = null;
  #view = { top: 0, height: 0, row: 52 };
  #pressed = false;
  #aimedAt = -Infinity;
  /** Number of rows painted in this second. */
  #painted = 0;
  #second = 0;
  #onOpen;
  #onFold;

  /**
   * @param {object} hooks
   * @param {(id: string) => void} hooks.onOpen Called to open an operation.
   * @param {(id: string, unfolded: boolean) => void} hooks.onFold Called to unfold the steps of a
   *   workflow, or to fold them.
   * @param {() => void} hooks.onMove Called when other rows are visible.
   */
  constructor({ onOpen, onFold, onMove }) {
    this.#onOpen = onOpen;
    this.#onFold = onFold;
    // Read here and not in `paint`, where it would force a layout.
    const scrolled = () => {
      this.#view.top = this.#grid.scrollTop;
      onMove();
    };
    this.#grid.addEventListener("scroll", scrolled, { passive: true });
    new ResizeObserver(() => {
      this.#measure();
      onMove();
    }).observe(this.#grid);
    this.#measure();
    this.#listen();
  }

  /** Whether the pointer is about to hit a row, so that rows must keep their place. */
  get held() {
    return this.#pressed || performance.now() - this.#aimedAt < POINTER_HOLD;
  }

  /**
   * Set the order, and keep the top row in place.
   *
   * @param {() => TableRow[]} update Returns the rows.
   */
  reorder(update) {
    const at = Math.floor(this.#view.top / this.#view.row);
    const anchor = this.#order[at];
    this.#order = update();
    mark(this.#grid, "aria-rowcount", String(this.#order.length + 1));
    this.#body.style.height = `${this.#order.length * this.#view.row}px`;
    if (!anchor) return;
    const now = this.#order.findIndex((one) => one.id === anchor.id);
    const top = now < 0 ? this.#view.top : keepAnchor(this.#view, at, now);
    if (top !== this.#view.top) this.#grid.scrollTop = this.#view.top = top;
  }

  /**
   * Update the visible rows.
   *
   * @param {Map<string, Operation>} operations
   * @param {number} now Epoch seconds.
   */
  paint(operations, now) {
    const { first, last } = visibleRange(this.#view, this.#order.length);
    const wanted = new Map();
    for (let index = first; index < last; index += 1) wanted.set(this.#order[index].id, index);
    this.#wantFocused(wanted);
    this.#clear(wanted);
    for (const [id, index] of wanted) {
      const { node } = this.#order[index];
      const known = operations.get(id);
      // Of a step that never runs, the sidecar knows no more than its end.
      const operation = node && !known?.operation_type ? standInFor(node) : known;
      if (!operation) continue;
      const row = this.#rows.get(id) ?? this.#add(id);
      row.place(index, this.#view.row);
      row.nest(this.#order[index]);
      if (row.paint(operation, now)) this.#painted += 1;
      if (!row.element.isConnected) this.#body.append(row.element);
    }
    this.#markTabStop(first);
    this.#markBusy(now);
  }

  /**
   * Mark the open operation.
   *
   * @param {string | null} id
   */
  select(id) {
    const before = this.#selected;
    this.#selected = id;
    if (id !== null) this.#active = id;
    for (const one of [before, id]) this.#markSelected(one);
  }

  /** Focus the row with the tab stop. */
  focus() {
    const row = this.#rows.get(this.#active ?? "") ?? this.#rows.values().next().value;
    (row?.element ?? found("by-id-input")).focus();
  }

  #listen() {
    const body = this.#body;
    body.addEventListener("click", (event) => this.#click(event));
    body.addEventListener("keydown", (event) => this.#key(event));
    body.addEventListener("pointermove", () => (this.#aimedAt = performance.now()));
    body.addEventListener("pointerdown", () => (this.#pressed = true));
    for (const name of ["pointerup", "pointercancel"]) {
      // The pointer may be released anywhere.
      addEventListener(name, () => (this.#pressed = false));
    }
    body.addEventListener("focusin", ({ target }) => (this.#active = this.#idOf(target)));
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const id = this.#idOf(event.target);
    const target = event.target instanceof Element ? event.target : null;
    // Links work by themselves.
    if (id === null || target?.closest("a")) return;
    if (target?.closest("[data-part=fold]")) this.#fold(id);
    else this.#onOpen(id);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const id = this.#idOf(event.target);
    if (id === null || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#onOpen(id);
      return;
    }
    if (this.#followFold(event, id)) return;
    const from = this.#order.findIndex((one) => one.id === id);
    const index = indexForKey(event.key, from, this.#order.length, this.#view);
    if (index === null) return;
    event.preventDefault();
    this.#reveal(index);
  }

  /**
   * Unfold with the right arrow and fold with the left one, as the pattern of a tree grid has it.
   *
   * @param {KeyboardEvent} event
   * @param {string} id
   * @returns {boolean} Whether the key did something.
   */
  #followFold(event, id) {
    const rightToLeft = getComputedStyle(this.#body).direction === "rtl";
    const [into, out] = rightToLeft ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
    const { unfolded } = this.#order.find((one) => one.id === id) ?? { unfolded: null };
    if (event.key !== (unfolded ? out : into) || unfolded === null) return false;
    event.preventDefault();
    this.#fold(id);
    return true;
  }

  /** @param {string} id */
  #fold(id) {
    const row = this.#order.find((one) => one.id === id);
    if (row && row.unfolded !== null) this.#onFold(id, !row.unfolded);
  }

  /** @param {number} index */
  #reveal(index) {
    const { id } = this.#order[index];
    this.#active = id;
    this.#grid.scrollTop = this.#view.top = scrollToReveal(this.#view, index);
    const row = this.#rows.get(id) ?? this.#add(id);
    row.place(index, this.#view.row);
    if (!row.element.isConnected) this.#body.append(row.element);
    row.element.focus({ preventScroll: true });
  }

  /** @param {string} id */
  #add(id) {
    const row = new Row(id);
    row.element.dataset.id = id;
    this.#rows.set(id, row);
    this.#markSelected(id);
    return row;
  }

  /**
   * Keep the focused row rendered, or the focus would be lost.
   *
   * @param {Map<string, number>} wanted
   */
  #wantFocused(wanted) {
    const id = this.#body.contains(document.activeElement)
      ? this.#idOf(document.activeElement)
      : null;
    if (id === null || wanted.has(id)) return;
    const index = this.#order.findIndex((one) => one.id === id);
    if (index >= 0) wanted.set(id, index);
  }

  /** @param {Map<string, number>} wanted */
  #clear(wanted) {
    for (const [id, row] of this.#rows) {
      if (wanted.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
  }

  /** @param {number} first */
  #markTabStop(first) {
    const active = this.#rows.has(this.#active ?? "") ? this.#active : this.#order[first]?.id;
    for (const [id, { element }] of this.#rows) {
      mark(element, "tabindex", id === active ? "0" : "-1");
    }
  }

  /**
   * Animate bars unless too many rows change.
   *
   * @param {number} now Epoch seconds.
   */
  #markBusy(now) {
    if (Math.floor(now) === this.#second) return;
    this.#grid.classList.toggle("busy", this.#painted > MAX_SMOOTH_ROWS);
    this.#second = Math.floor(now);
    this.#painted = 0;
  }

  /** @param {string | null} id */
  #markSelected(id) {
    const element = this.#rows.get(id ?? "")?.element;
    if (element) mark(element, "aria-selected", id === this.#selected ? "true" : null);
  }

  #measure() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const head = /** @type {HTMLElement} */ (this.#grid.firstElementChild);
    this.#view.row = ROW_REM * rem;
    this.#view.height = this.#grid.clientHeight - head.offsetHeight;
    this.#body.style.height = `${this.#order.length * this.#view.row}px`;
  }

  /** @param {EventTarget | null} target */
  #idOf(target) {
    const row = target instanceof Element ? target.closest("[data-id]") : null;
    return row instanceof HTMLElement ? (row.dataset.id ?? null) : null;
  }
}
