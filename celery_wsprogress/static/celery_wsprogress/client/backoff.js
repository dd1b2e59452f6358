/**
 * How long to wait before something that failed is tried again.
 *
 * Pure, but for the chance that is passed in.
 */

/** Seconds the first wait lasts at the limit. */
export const MIN_DELAY = 0.5;

/** Seconds any wait lasts at the limit. */
export const MAX_DELAY = 20;

/**
 * Waits that grow, with full jitter: those that lost a server together come back apart.
 *
 * There is no last wait: it is asked for as often as something fails.
 */
export class Backoff {
  #chance;
  #limit = MIN_DELAY;

  /** @param {() => number} [chance] Gives a number from 0 to 1. */
  constructor(chance = Math.random) {
    this.#chance = chance;
  }

  /**
   * The seconds to wait now; the next wait may be twice as long.
   *
   * @returns {number}
   */
  next() {
    const limit = this.#limit;
    this.#limit = Math.min(limit * 2, MAX_DELAY);
    return this.#chance() * limit;
  }

  /** Begin again with the shortest wait. */
  reset() {
    this.#limit = MIN_DELAY;
  }
}
