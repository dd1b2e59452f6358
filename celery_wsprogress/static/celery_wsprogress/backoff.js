/**
 * How long to wait before something that failed is tried again.
 *
 * Pure, but for the chance that is passed in.
 */

/** Seconds the first wait lasts at the most. */
export const FIRST = 0.5;

/** Seconds any wait lasts at the most. */
export const LONGEST = 20;

/**
 * Waits that grow, with full jitter: those that lost a server together come back apart.
 *
 * There is no last wait: it is asked for as often as something fails.
 */
export class Backoff {
  #chance;
  #most = FIRST;

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
    const most = this.#most;
    this.#most = Math.min(most * 2, LONGEST);
    return this.#chance() * most;
  }

  /** Begin again with the shortest wait. */
  reset() {
    this.#most = FIRST;
  }
}
