/**
 * The countdown of an operation that waits for its time, or for its next attempt; and of a
 * connection that waits for its next one.
 */

import { hasNotBegun } from "../client/protocol.js";

/** @import { Operation } from "../client/protocol.js" */

/**
 * Return the whole seconds until an operation may start; null if it does not wait for a time.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 */
export function secondsToStart(operation, now) {
  return operation ? secondsTo(operation, operation.starts_at, now) : null;
}

/**
 * Return the whole seconds until an operation expires; null if it does not.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 */
export function secondsToExpiry(operation, now) {
  return operation ? secondsTo(operation, operation.expires_at, now) : null;
}

/**
 * @param {Operation} operation
 * @param {number | null | undefined} at An older sidecar does not say it.
 * @param {number} now
 */
function secondsTo(operation, at, now) {
  const waits = hasNotBegun(operation) || operation.state === "retrying";
  return waits && at != null && at > now ? Math.ceil(at - now) : null;
}

/**
 * Return the milliseconds after which the text of a countdown may be another one: every second in
 * the last two minutes, and before that every ten.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {number | null} [retryIn] Seconds until the next attempt to connect.
 * @returns {number | null} Null if nothing is counted down.
 */
export function tickDelay(operation, now, retryIn = null) {
  const waits = [secondsToStart(operation, now), secondsToExpiry(operation, now), retryIn];
  const left = Math.min(...waits.map((one) => one ?? Infinity));
  if (left === Infinity) return null;
  return left <= 120 ? 1_000 : 10_000;
}

/** Calls a function again and again while something is counted down. */
export class Countdown {
  #onTick;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} onTick Shows the operation, and calls `update`. */
  constructor(onTick) {
    this.#onTick = onTick;
  }

  /**
   * Wait until the text of the countdown changes.
   *
   * @param {Operation | null} operation
   * @param {number} now Epoch seconds by the clock of the sidecar.
   * @param {number | null} [retryIn] Seconds until the next attempt to connect.
   */
  update(operation, now, retryIn) {
    this.stop();
    const delay = tickDelay(operation, now, retryIn);
    if (delay !== null) this.#timer = setTimeout(this.#onTick, delay);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
