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
 * Return the texts to show.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {{ state: ConnectionState, lost: Loss | null } | null} client
 * @param {Error | null} error The reason why the watch was rejected.
 * @param {boolean} isUnknown The sidecar has sent nothing about the operation for some time.
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 * @returns {Display}
 */
export declare function displayOf(operation: Operation | null, words: Words, client: {
    state: ConnectionState;
    lost: Loss | null;
} | null, error: Error | null, isUnknown: boolean, now: number, language?: string): Display;
