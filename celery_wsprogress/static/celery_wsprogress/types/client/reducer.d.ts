/**
 * The fold of an operation's events, as they are delivered, over what is known of it.
 *
 * The sidecar has decided already which events are news; so there is no table here, and what a
 * snapshot says that came before its own events is not undone by them: an event that is in it
 * already changes nothing, or is followed by the one that says the same again.
 *
 * Pure: each fold gives a new snapshot and leaves the old one as it is.
 */
import type { Operation, ProgressEvent } from "./protocol.js";
/**
 * Nothing is known of it but that it was heard of.
 *
 * @param {string} id
 * @param {number} at Epoch seconds.
 * @returns {Operation}
 */
export declare function emptyOperation(id: string, at: number): Operation;
/**
 * What is known of an operation after one more event.
 *
 * @param {Operation | null} before What was known; null where nothing was.
 * @param {ProgressEvent} event
 * @returns {Operation}
 */
export declare function reduce(before: Operation | null, event: ProgressEvent): Operation;
