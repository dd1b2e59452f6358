/**
 * The table of operations. However many there are, only the rows in sight are made, and only
 * those of them are touched whose operation is another one than before.
 *
 * Runs in: a page.
 */

import { found, mark } from "./dom.js";
import { indexOf } from "../model/order.js";
import { Row } from "./row.js";
import { keepAnchor, indexForKey, scrollToReveal, visibleRange } from "../model/virtual_list.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { SortKey } from "../model/order.js" */

/** Of a row, as the style has it. */
const ROW_REM = 3.25;

/** Milliseconds for which rows stay where they are after the pointer moved over them. */
const POINTER_HOLD = 600;

/** Rows in a second of which the bars can glide, and no more. */
const MAX_SMOOTH_ROWS = 30;

export class Table {
  #grid = found("grid");
  #body = found("rows");
  /** @type {SortKey[]} */
  #order = [];
  /** Those that are there, by the id of their operation. @type {Map<string, Row>} */
  #rows = new Map();
  /** The one that keys start from. @type {string | null} */
  #active = null;
  /** The one that is looked at. @type {string | null} */
  #selected = null;
  #view = { top: 0, height: 0, row: 52 };
  #pressed = false;
  #aimedAt = -Infinity;
  /** Rows that were painted in this second. */
  #painted = 0;
  #second = 0;
  #onOpen;

  /**
   * @param {object} hooks
   * @param {(id: string) => void} hooks.onOpen Somebody wants to see one.
   * @param {() => void} hooks.onMove Other rows are in sight.
   */
  constructor({ onOpen, onMove }) {
    this.#onOpen = onOpen;
    // Asked for here and not when it is painted: then it would have to be laid out first.
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

  /** Whether somebody is about to hit a row: then they stay where they are. */
  get held() {
    return this.#pressed || performance.now() - this.#aimedAt < POINTER_HOLD;
  }

  /**
   * Show other operations, or the same in another order.
   *
   * @param {() => SortKey[]} update Gives the order.
   */
  reorder(update) {
    const at = Math.floor(this.#view.top / this.#view.row);
    const anchor = this.#order[at];
    this.#order = update();
    mark(this.#grid, "aria-rowcount", String(this.#order.length + 1));
    this.#body.style.height = `${this.#order.length * this.#view.row}px`;
    if (!anchor) return;
    const top = keepAnchor(this.#view, at, indexOf(this.#order, anchor));
    if (top !== this.#view.top) this.#grid.scrollTop = this.#view.top = top;
  }

  /**
   * Bring the rows that are in sight up to date.
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
      const operation = operations.get(id);
      if (!operation) continue;
      const row = this.#rows.get(id) ?? this.#add(id);
      row.place(index, this.#view.row);
      if (row.paint(operation, now)) this.#painted += 1;
      if (!row.element.isConnected) this.#body.append(row.element);
    }
    this.#markTabStop(first);
    this.#markBusy(now);
  }

  /**
   * Show which one is looked at.
   *
   * @param {string | null} id
   */
  select(id) {
    const before = this.#selected;
    this.#selected = id;
    if (id !== null) this.#active = id;
    for (const one of [before, id]) this.#markSelected(one);
  }

  /** Go back to the row that was looked at. */
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
      // What is pressed here may be let go anywhere.
      addEventListener(name, () => (this.#pressed = false));
    }
    body.addEventListener("focusin", ({ target }) => (this.#active = this.#idOf(target)));
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const id = this.#idOf(event.target);
    // A link does what links do.
    if (id === null || (event.target instanceof Element && event.target.closest("a"))) return;
    this.#onOpen(id);
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
    const from = this.#order.findIndex((one) => one.id === id);
    const index = indexForKey(event.key, from, this.#order.length, this.#view);
    if (index === null) return;
    event.preventDefault();
    this.#reveal(index);
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
   * The row that has the focus stays wherever it is, or the focus would be lost.
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
   * Bars glide where there is time for it.
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
