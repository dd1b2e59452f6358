/**
 * Results in which whole numbers are larger than JavaScript's: their JSON, as it came.
 *
 * Pure, but for the frames that are remembered where they are read.
 */
import type { ProgressEvent } from "./protocol.js";
/**
 * The JSON of an event's result; undefined where the value itself is exact.
 *
 * @param {ProgressEvent} event
 * @param {ProgressEvent[]} [history] The list that it is in.
 * @param {number} [indent]
 * @returns {string | undefined}
 */
export declare function exactResult(event: ProgressEvent, history?: ProgressEvent[], indent?: number): string | undefined;
