/**
 * Sources of tokens: where they come from, and when they are renewed. Used by `connection.js`.
 *
 * Runs in: a page, a worker, or Node. A token goes into a command and nowhere else.
 */

import { Backoff } from "./backoff.js";
import { callSafely } from "./callbacks.js";
import { LOST } from "./close_codes.js";
import { withResolvers } from "./deferred.js";

/** @import { Loss } from "./connection.js" */
/** @import { Deferred } from "./deferred.js" */

/** Fraction of its lifetime after which a token is renewed. */
const RENEWAL_FRACTION = 0.8;

/** Minimum seconds between two tokens. */
const MIN_RENEWAL_DELAY = 1;

/** Milliseconds until `getToken` must have returned a token. */
const TOKEN_TIMEOUT = 10_000;

/** Maximum milliseconds of a timer (a signed 32-bit integer in browsers and Node). */
const MAX_TIMER_DELAY = 2 ** 31 - 1;

/**
 * @typedef {{ token?: string, getToken?: GetToken }} Credentials
 *
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} GetToken
 */

/** One token or `getToken` function, shared by all clients that have it. */
export class TokenSource {
  /** The socket that has accepted its token. @type {object | null} */
  socket = null;

  /**
   * The clients, as functions to call when the token is rejected for good.
   * @type {Set<(error: Error) => void>}
   */
  handlers = new Set();

  /** The reason why there is no token now. @type {Loss | null} */
  lost = null;

  /** Resolves when a socket has accepted the token; replaced after that. @type {Deferred} */
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
   * A socket has accepted the token.
   *
   * @param {object} socket
   */
  accept(socket) {
    this.socket = socket;
    this.ready.resolve();
    this.ready = withResolvers();
  }

  /**
   * Schedule the renewal of the token.
   *
   * @param {number} left Seconds until it expires.
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
   * Schedule another attempt, because `getToken` failed.
   *
   * @param {unknown} error The failure.
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

  /** Cancel the scheduled renewal. */
  stop() {
    clearTimeout(this.#timer);
  }
}
