/**
 * The exact JSON of results whose integers JavaScript cannot hold (above 2^53). Called by the
 * element and the dashboard, which show such results.
 *
 * Pure, except that it reads the texts of frames that `socket.js` keeps.
 */
import type { ProgressEvent } from "./protocol.js";
/**
 * Return the JSON of an event's result; undefined if the parsed value is exact.
 *
 * @param {ProgressEvent} event
 * @param {ProgressEvent[]} [history] The history that holds the event.
 * @param {number} [indent]
 * @returns {string | undefined}
 */
export declare function exactResult(event: ProgressEvent, history?: ProgressEvent[], indent?: number): string | undefined;
