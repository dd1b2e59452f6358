/**
 * The fold of delivered events over the snapshot of an operation.
 *
 * The sidecar has applied the transition table (`operations/states.py`) already, so there is none
 * here. Events may be replayed over a snapshot that includes them: each then changes nothing, or a
 * later one restores the value.
 *
 * Pure: each fold returns a new snapshot and leaves the old one unchanged.
 */
import type { Operation, ProgressEvent } from "./protocol.js";
/**
 * Return the snapshot of an operation without events.
 *
 * @param {string} id
 * @param {number} at Epoch seconds.
 * @returns {Operation}
 */
export declare function emptyOperation(id: string, at: number): Operation;
/**
 * Return the snapshot of an operation after one more event.
 *
 * @param {Operation | null} before The snapshot; null for an unknown operation.
 * @param {ProgressEvent} event
 * @returns {Operation}
 */
export declare function reduce(before: Operation | null, event: ProgressEvent): Operation;
