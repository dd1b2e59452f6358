/**
 * Tokens: who gives them, and when a new one is needed.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */

import { Backoff } from "./backoff.js";
import { guarded, withResolvers } from "./handle.js";
import { LOST } from "./protocol.js";

/** @import { Loss } from "./connection.js" */
/** @import { Settling } from "./handle.js" */

/** The part of its life a token is used for before it is renewed. */
const USED = 0.8;

/** Seconds between two tokens, at the least. */
const SOON = 1;

/** Milliseconds in which a token is to be given. */
const PATIENCE = 10_000;

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

  /** Why it has no token now. @type {Loss | null} */
  lost = null;

  /** What some wait for until a line knows it. @type {Settling} */
  known = withResolvers();

  backoff = new Backoff();

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
    this.known.reject(error);
    for (const refuse of [...this.holders]) guarded(() => refuse(error));
  }

  /** @returns {Promise<string | null | undefined>} */
  async get() {
    const given = this.#give();
    const { promise, reject } = withResolvers();
    const timer = setTimeout(reject, PATIENCE, "no answer");
    return Promise.race([given, promise]).finally(() => clearTimeout(timer));
  }

  /**
   * A line knows it.
   *
   * @param {object} line
   */
  present(line) {
    this.presentedTo = line;
    this.known.resolve();
    this.known = withResolvers();
  }

  /**
   * Call when the token is about to expire.
   *
   * @param {number} left Seconds it holds.
   * @param {() => void} renew
   */
  renewIn(left, renew) {
    this.stop();
    this.lost = null;
    this.backoff.reset();
    if (!this.renews || !Number.isFinite(left)) return;
    this.#wait(Math.max(left * USED, SOON), renew);
  }

  /**
   * There is no token now: ask again later.
   *
   * @param {unknown} error Why.
   * @param {() => void} call
   */
  miss(error, call) {
    const wait = SOON + this.backoff.next();
    this.lost = { code: LOST, reason: `no token: ${error}`, retryAt: Date.now() + wait * 1000 };
    this.#wait(wait, call);
  }

  /**
   * @param {number} seconds
   * @param {() => void} call
   */
  #wait(seconds, call) {
    this.stop();
    this.#timer = setTimeout(call, Math.min(seconds * 1000, LONGEST_TIMER));
  }

  /** Renew no more. */
  stop() {
    clearTimeout(this.#timer);
  }
}
