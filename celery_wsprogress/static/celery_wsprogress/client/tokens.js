/**
 * Tokens: who gives them, and when a new one is needed.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */

import { Backoff } from "./backoff.js";
import { callSafely, withResolvers } from "./handle.js";
import { LOST } from "./close_codes.js";

/** @import { Loss } from "./connection.js" */
/** @import { Deferred } from "./handle.js" */

/** The part of its life a token is used for before it is renewed. */
const RENEWAL_FRACTION = 0.8;

/** Seconds between two tokens, at the least. */
const MIN_RENEWAL_DELAY = 1;

/** Milliseconds in which a token is to be given. */
const TOKEN_TIMEOUT = 10_000;

/** Milliseconds a timer can wait. */
const MAX_TIMER_DELAY = 2 ** 31 - 1;

/**
 * @typedef {{ token?: string, getToken?: GetToken }} Credentials
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */

/** One place that tokens come from, for all clients that have it. */
export class TokenSource {
  /** The line that knows its token. @type {object | null} */
  socket = null;

  /**
   * Whose it is: what each of them does when a token is not taken, and no other one comes.
   * @type {Set<(error: Error) => void>}
   */
  handlers = new Set();

  /** Why it has no token now. @type {Loss | null} */
  lost = null;

  /** What some wait for until a line knows it. @type {Deferred} */
  ready = withResolvers();

  backoff = new Backoff();

  #getToken;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Credentials} credentials */
  constructor({ token, getToken }) {
    this.#getToken = getToken ?? (() => token);
    this.canRenew = getToken !== undefined;
  }

  /** @param {Error} error */
  reject(error) {
    this.ready.reject(error);
    for (const handler of [...this.handlers]) callSafely(() => handler(error));
  }

  /** @returns {Promise<string | null | undefined>} */
  async get() {
    const given = this.#getToken();
    const { promise, reject } = withResolvers();
    const timer = setTimeout(reject, TOKEN_TIMEOUT, "no answer");
    return Promise.race([given, promise]).finally(() => clearTimeout(timer));
  }

  /**
   * A line knows it.
   *
   * @param {object} socket
   */
  accept(socket) {
    this.socket = socket;
    this.ready.resolve();
    this.ready = withResolvers();
  }

  /**
   * Call when the token is about to expire.
   *
   * @param {number} left Seconds it holds.
   * @param {() => void} renew
   */
  renewAfter(left, renew) {
    this.stop();
    this.lost = null;
    this.backoff.reset();
    if (!this.canRenew || !Number.isFinite(left)) return;
    this.#schedule(Math.max(left * RENEWAL_FRACTION, MIN_RENEWAL_DELAY), renew);
  }

  /**
   * There is no token now: ask again later.
   *
   * @param {unknown} error Why.
   * @param {() => void} call
   */
  retryAfter(error, call) {
    const wait = MIN_RENEWAL_DELAY + this.backoff.next();
    this.lost = { code: LOST, reason: `no token: ${error}`, retryAt: Date.now() + wait * 1000 };
    this.#schedule(wait, call);
  }

  /**
   * @param {number} seconds
   * @param {() => void} call
   */
  #schedule(seconds, call) {
    this.stop();
    this.#timer = setTimeout(call, Math.min(seconds * 1000, MAX_TIMER_DELAY));
  }

  /** Renew no more. */
  stop() {
    clearTimeout(this.#timer);
  }
}
