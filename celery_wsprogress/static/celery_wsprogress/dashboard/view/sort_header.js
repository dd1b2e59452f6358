/**
 * The heads of the columns that the table can be sorted by.
 *
 * Runs in: a page.
 */

import { found, mark } from "./dom.js";
import { nextSorting } from "../model/columns.js";

/** @import { Column, Sorting } from "../model/columns.js" */

export class SortHeader {
  /** The chosen order; null for that of the table itself. @type {Sorting | null} */
  sorting = null;

  /** @type {[HTMLElement, Column][]} */
  #buttons;

  /** @param {() => void} onSort Called when the reader has chosen another order. */
  constructor(onSort) {
    const all = /** @type {NodeListOf<HTMLElement>} */ (found("grid").querySelectorAll("[data-sort]"));
    this.#buttons = [...all].map((one) => [one, /** @type {Column} */ (one.dataset.sort)]);
    for (const [button, column] of this.#buttons) {
      button.addEventListener("click", () => {
        this.set(nextSorting(this.sorting, column));
        onSort();
      });
    }
  }

  /** @param {Sorting | null} sorting */
  set(sorting) {
    this.sorting = sorting;
    for (const [button, column] of this.#buttons) {
      const direction = sorting?.descending ? "descending" : "ascending";
      const head = /** @type {Element} */ (button.parentElement);
      mark(head, "aria-sort", sorting?.column === column ? direction : null);
    }
  }
}
