/**
 * The countdown of an operation that waits for its time, or for its next attempt; and of a
 * connection that waits for its next one.
 */
import type { Operation } from "../client/protocol.js";
/** @import { Operation } from "../client/protocol.js" */
/**
 * Return the whole seconds until an operation may start; null if it does not wait for a time.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 */
export declare function secondsToStart(operation: Operation | null, now: number): number | null;
/**
 * Return the whole seconds until an operation expires; null if it does not.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 */
export declare function secondsToExpiry(operation: Operation | null, now: number): number | null;
/**
 * Return the milliseconds after which the text of a countdown may be another one: every second in
 * the last two minutes, and before that every ten.
 *
 * @param {Operation | null} operation
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {number | null} [retryIn] Seconds until the next attempt to connect.
 * @returns {number | null} Null if nothing is counted down.
 */
export declare function tickDelay(operation: Operation | null, now: number, retryIn?: number | null): number | null;
/** Calls a function again and again while something is counted down. */
export declare class Countdown {
    #private;
    /** @param {() => void} onTick Shows the operation, and calls `update`. */
    constructor(onTick: () => void);
    /**
     * Wait until the text of the countdown changes.
     *
     * @param {Operation | null} operation
     * @param {number} now Epoch seconds by the clock of the sidecar.
     * @param {number | null} [retryIn] Seconds until the next attempt to connect.
     */
    update(operation: Operation | null, now: number, retryIn?: number | null): void;
    stop(): void;
}
