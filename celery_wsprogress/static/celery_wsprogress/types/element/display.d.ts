/**
 * The texts of `<celery-progress>` for an operation and the state of its connection.
 *
 * Pure.
 */
import type { ConnectionState, Loss } from "../client/connection.js";
import type { Operation } from "../client/protocol.js";
import type { Words } from "./format.js";
export type Display = {
    /**
     * A word or two, or when it starts.
     */
    status: string;
    /**
     * The same without a time that counts down, if there is one.
     */
    word?: string;
    /**
     * A sentence, shown as the message while there is no operation.
     */
    text?: string;
    /**
     * A sentence, shown as the error if the operation has none.
     */
    problem?: string;
    /**
     * The value of the attribute `connection`.
     */
    connection?: string;
};
export type Link = {
    state: ConnectionState;
    lost: Loss | null;
    /**
     * The reason why the watch was rejected.
     */
    error: Error | null;
    /**
     * The sidecar has sent nothing about the operation for some time.
     */
    isUnknown: boolean;
    /**
     * Whole seconds until the next attempt to connect; null if none
     * is awaited.
     */
    retryIn: number | null;
};
/** @import { ConnectionState, Loss } from "../client/connection.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */
/**
 * @typedef {object} Display The texts that show the state of an operation and its connection.
 * @property {string} status A word or two, or when it starts.
 * @property {string} [word] The same without a time that counts down, if there is one.
 * @property {string} [text] A sentence, shown as the message while there is no operation.
 * @property {string} [problem] A sentence, shown as the error if the operation has none.
 * @property {string} [connection] The value of the attribute `connection`.
 */
/**
 * @typedef {object} Link The way to the sidecar.
 * @property {ConnectionState} state
 * @property {Loss | null} lost
 * @property {Error | null} error The reason why the watch was rejected.
 * @property {boolean} isUnknown The sidecar has sent nothing about the operation for some time.
 * @property {number | null} retryIn Whole seconds until the next attempt to connect; null if none
 *   is awaited.
 */
/**
 * Return an operation without what an exception said: the reason of its end, or of a retry, which
 * stays its message where no other attempt has said anything since.
 *
 * @param {Operation} operation
 * @returns {Operation}
 */
export declare function withoutErrorDetail(operation: Operation): Operation;
/**
 * Return the whole seconds until the next attempt to connect; null if none is awaited.
 *
 * @param {{ state: ConnectionState, lost: Loss | null } | null} client
 * @param {number} now Milliseconds by the clock of this machine.
 */
export declare function secondsToRetry(client: {
    state: ConnectionState;
    lost: Loss | null;
} | null, now: number): number | null;
/**
 * Return the texts to show.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {Link} link
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 * @returns {Display}
 */
export declare function displayOf(operation: Operation | null, words: Words, { state, lost, error, isUnknown, retryIn }: Link, now: number, language?: string): Display;
