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
    refused: string;
    refusedText: string;
    unknown: string;
    unheard: string;
    unheardText: string;
    queued: string;
    received: string;
    running: string;
    retrying: string;
    replaced: string;
    stalled: string;
    completed: string;
    ignored: string;
    error: string;
    cancelled: string;
    reconnecting: string;
    left: string;
    took: string;
    of: string;
    perSecond: string;
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
 * Return the figures of an operation: units, rate, and the time that is left or was taken.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {string} [language]
 * @returns {string[]}
 */
export declare function formatFigures(operation: Operation | null, words: Words, language?: string): string[];
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
 * Return a value as text of at most 300 characters.
 *
 * @param {unknown} value
 * @param {string} [json] Its exact JSON, if it has integers that JavaScript cannot hold.
 */
export declare function formatResult(value: unknown, json?: string): string;
