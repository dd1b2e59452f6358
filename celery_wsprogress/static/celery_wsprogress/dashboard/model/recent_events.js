/**
 * The newest events of all operations. The list is bounded and can be paused.
 *
 * Pure.
 */

/** @import { Operation, ProgressEvent } from "../../client/protocol.js" */

/** @typedef {{ number: number, event: ProgressEvent, type: string }} Entry */

/** Maximum number of events. */
export const MAX_EVENTS = 100;

export class RecentEvents {
  /** The newest first. @type {Entry[]} */
  shown = [];
  /** The number of events since the pause. */
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
    // Cut at twice the limit, so that the array is not copied for each event.
    if (this.#entries.length > 2 * MAX_EVENTS) this.#entries = this.#entries.slice(-MAX_EVENTS);
  }

  /**
   * Show the newest events, unless paused.
   *
   * @returns {boolean} Whether they have changed.
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
