/**
 * The close codes of the protocol, and what a client does after each of them.
 *
 * `protocol/close_codes.py` holds the same rules in Python; a test compares the two. Called by
 * `connection.js` when a socket has closed.
 *
 * Pure.
 */
/** The client closed the connection itself. */
export declare const NORMAL = 1000;
/** The peer sent text that is not JSON. */
export declare const UNREADABLE = 1007;
/** The connection ended without a close frame (RFC 6455, section 7.1.5). */
export declare const LOST = 1006;
/** The sidecar restarts; the reason may say when to come back. */
export declare const RESTARTING = 1012;
/**
 * Return whether a client must not reconnect.
 *
 * @param {number} code
 */
export declare function isFinal(code: number): boolean;
/**
 * Return the seconds after which a restarting sidecar wants its clients back; null if unknown.
 *
 * @param {number} code
 * @param {string} reason
 * @returns {number | null}
 */
export declare function restartDelay(code: number, reason: string): number | null;
