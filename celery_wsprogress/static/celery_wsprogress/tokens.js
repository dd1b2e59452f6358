/**
 * Tokens: who gives them, and when a new one is needed.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */

/** The part of its life a token is used for before it is renewed. */
const USED = 0.8;

/** Seconds before its end at which a token is renewed, at the most. */
const EARLY = 60;

/** Milliseconds a timer can wait. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * @typedef {{ token?: string, getToken?: GetToken }} Credentials
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */

/** One place that tokens come from, for all clients that have it. */
export class TokenSource {
  /** The line that knows its token. @type {object | null} */
  presentedTo = null;

  /**
   * Whose it is: what each of them does when a token is not taken, and no other one comes.
   * @type {Set<(error: Error) => void>}
   */
  holders = new Set();

  #give;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Credentials} credentials */
  constructor({ token, getToken }) {
    this.#give = getToken ?? (() => token);
    this.renews = getToken !== undefined;
  }

  /** @param {Error} error */
  refuse(error) {
    for (const refuse of [...this.holders]) refuse(error);
  }

  /** @returns {Promise<string | null | undefined>} */
  async get() {
    return this.#give();
  }

  /**
   * Call when the token is about to expire.
   *
   * @param {number} left Seconds it holds.
   * @param {() => void} renew
   */
  renewIn(left, renew) {
    this.stop();
    if (!this.renews || !Number.isFinite(left)) return;
    const wait = Math.max(left * USED, left - EARLY, 0) * 1000;
    this.#timer = setTimeout(renew, Math.min(wait, LONGEST_TIMER));
  }

  /** Renew no more. */
  stop() {
    clearTimeout(this.#timer);
  }
}
