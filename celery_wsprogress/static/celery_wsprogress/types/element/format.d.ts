/**
 * How an operation is put into words, for eyes and for screen readers.
 *
 * Pure. Numbers are written as the reader's language does; the words can be replaced.
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
 * All the words: those that are given, and for the rest the English ones.
 *
 * @param {Partial<Record<string, unknown>> | null | undefined} given
 * @returns {Words}
 */
export declare function mergeWords(given: Partial<Record<string, unknown>> | null | undefined): Words;
/**
 * One word for where an operation is, or the task's own.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 */
export declare function formatStatus(operation: Operation | null, words: Words): string;
/**
 * How far it is: percent, units, rate, and the time that is left or was taken.
 *
 * @param {Operation | null} operation
 * @param {Words} words
 * @param {string} [language]
 * @returns {string[]}
 */
export declare function formatFigures(operation: Operation | null, words: Words, language?: string): string[];
/**
 * A count: in full as long as that is read at a glance.
 *
 * @param {number} value
 * @param {string} [language]
 */
export declare function formatNumber(value: number, language?: string): string;
/**
 * A fraction in whole percent; nothing is complete before it is.
 *
 * @param {number} fraction
 * @param {string} [language]
 */
export declare function formatPercent(fraction: number, language?: string): string;
/**
 * A span of time, as `0.4 s`, `42 s`, `1:05` or `2:03:04`.
 *
 * @param {number} seconds
 * @param {string} [language]
 */
export declare function formatDuration(seconds: number, language?: string): string;
/**
 * A value as text that fits on a line or two.
 *
 * @param {unknown} value
 * @param {string} [json] The very JSON of it, where numbers in it are too large for JavaScript.
 */
export declare function formatResult(value: unknown, json?: string): string;
