/**
 * The close codes of the protocol, and what a client does after each of them.
 *
 * `protocol/close_codes.py` holds the same rules in Python; a test compares the two. Called by
 * `connection.js` when a socket has closed.
 *
 * Pure.
 */

/** The client closed the connection itself. */
export const NORMAL = 1000;

/** The peer sent text that is not JSON. */
export const UNREADABLE = 1007;

/** The connection ended without a close frame (RFC 6455, section 7.1.5). */
export const LOST = 1006;

/** The sidecar restarts; the reason may say when to come back. */
export const RESTARTING = 1012;

/** A client that gets one of these would be sent away again for the same reason. */
const FINAL = [1003, UNREADABLE, 1008, 1009];

/** Maximum seconds that a sidecar can ask its clients to stay away. */
const MAX_RETRY_DELAY = 60;

/**
 * Return whether a client must not reconnect.
 *
 * @param {number} code
 */
export function isFinal(code) {
  return FINAL.includes(code) || (code >= 4500 && code < 5000);
}

/**
 * Return the seconds after which a restarting sidecar wants its clients back; null if unknown.
 *
 * @param {number} code
 * @param {string} reason
 * @returns {number | null}
 */
export function restartDelay(code, reason) {
  if (code !== RESTARTING) return null;
  try {
    const asked = JSON.parse(reason).retry_ms;
    if (typeof asked !== "number") return null;
    return Math.min(Math.max(asked / 1000, 0), MAX_RETRY_DELAY);
  } catch {
    return null;
  }
}
