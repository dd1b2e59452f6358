/**
 * The texts of an operation: status, figures, result.
 *
 * Pure. Numbers follow the language of the reader; the words can be replaced.
 */
import type { Operation } from "../client/protocol.js";
/** @import { Operation } from "../client/protocol.js" */
/** The words, in English. */
export declare const WORDS: {
    connecting: string;
    unreachable: string;
    unreachableText: string;
    retryText: string;
    refused: string;
    refusedText: string;
    unknown: string;
    unheard: string;
    unheardText: string;
    queued: string;
    scheduled: string;
    received: string;
    running: string;
    retrying: string;
    replaced: string;
    stalled: string;
    completed: string;
    ignored: string;
    error: string;
    cancelled: string;
    cancel: string;
    cancelling: string;
    reconnecting: string;
    startsIn: string;
    retriesIn: string;
    expiresIn: string;
    attempt: string;
    attemptOf: string;
    left: string;
    took: string;
    of: string;
    perSecond: string;
    waiting: string;
    skipped: string;
    chain: string;
    group: string;
    workflow: string;
    task: string;
    tasks: string;
    steps: string;
    stepsRefused: string;
};
export type Words = typeof WORDS;
/** @typedef {typeof WORDS} Words */
/**
 * Return the given words, with the English ones where they are missing.
 *
 * @param {Partial<Record<string, unknown>> | null | undefined} given
 * @returns {Words}
 */
export declare function mergeWords(given: Partial<Record<string, unknown>> | null | undefined): Words;
/**
 * Return the word for the state of an operation, or the status word of the task.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 */
export declare function formatStatus(operation: Operation | null, words: Words): string;
/**
 * Return when an operation starts, or starts again; without a time the same as `formatStatus`.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @param {string} [language]
 */
export declare function formatStart(operation: Operation | null, words: Words, now: number, language?: string): string;
/**
 * Return the number of an attempt after the first; empty for the first one.
 *
 * @param {Operation} operation
 * @param {Words} words
 */
export declare function formatAttempt({ state, attempt, max_attempts: limit }: Operation, words: Words): string;
/**
 * Return the figures of an operation: units, rate, attempt, and the time that is left or was taken.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {string | undefined} language
 * @param {number} now Epoch seconds by the clock of the sidecar.
 * @returns {string[]}
 */
export declare function formatFigures(operation: Operation | null, words: Words, language: string | undefined, now: number): string[];
/**
 * Return a count; 100,000 and more in compact notation.
 *
 * @param {number} value
 * @param {string} [language]
 */
export declare function formatNumber(value: number, language?: string): string;
/**
 * Return a fraction in whole percent, rounded down.
 *
 * @param {number} fraction
 * @param {string} [language]
 */
export declare function formatPercent(fraction: number, language?: string): string;
/**
 * Return a duration, as `0.4 s`, `42 s`, `1:05` or `2:03:04`.
 *
 * @param {number} seconds
 * @param {string} [language]
 */
export declare function formatDuration(seconds: number, language?: string): string;
/**
 * Return a time to wait in one unit, as `42 s`, `4 min`, `3 h` or `2 days`. A minute that has begun
 * counts, so that the last one is followed by 60 seconds.
 *
 * @param {number} seconds
 * @param {string} [language]
 */
export declare function formatWait(seconds: number, language?: string): string;
/**
 * Return a value as text of at most 300 characters.
 *
 * @param {unknown} value
 * @param {string} [json] Its exact JSON, if it has integers that JavaScript cannot hold.
 */
export declare function formatResult(value: unknown, json?: string): string;
/**
 * @param {string} pattern With `{}` for each value.
 * @param {string[]} values
 */
export declare function fillTemplate(pattern: string, ...values: string[]): string;
