/**
 * What happened last, of everything: bounded, and still when that is wanted.
 *
 * Pure.
 */

/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */

/** @typedef {{ number: number, event: ProgressEvent, type: string }} Entry */

/** Events that are kept. */
export const MAX_EVENTS = 100;

export class RecentEvents {
  /** The newest first. @type {Entry[]} */
  shown = [];
  /** Events since it was paused. */
  missed = 0;

  /** The newest last. @type {Entry[]} */
  #entries = [];
  #number = 0;
  #paused = false;

  get paused() {
    return this.#paused;
  }

  /**
   * @param {ProgressEvent} event
   * @param {Operation} operation
   */
  push(event, { operation_type: type }) {
    this.#number += 1;
    if (this.#paused) this.missed += 1;
    this.#entries.push({ number: this.#number, event, type });
    // Twice as many as needed, so that they are not moved each time.
    if (this.#entries.length > 2 * MAX_EVENTS) this.#entries = this.#entries.slice(-MAX_EVENTS);
  }

  /**
   * Show what there is now, unless it is paused.
   *
   * @returns {boolean} Whether that is something else than before.
   */
  refresh() {
    if (this.#paused || this.#entries.at(-1)?.number === this.shown[0]?.number) return false;
    this.shown = this.#entries.slice(-MAX_EVENTS).reverse();
    return true;
  }

  pause() {
    this.refresh();
    this.#paused = true;
    this.missed = 0;
  }

  resume() {
    this.#paused = false;
    this.missed = 0;
  }
}
