/**
 * Selectors: which operations a subscription or a filter covers.
 *
 * Called by `client.js` and `subscriptions.js`, and by the filter of the dashboard. The sidecar
 * applies the same rules (`operations/selector.py`); transcripts in `tests/` hold them together.
 *
 * Pure.
 */
import type { Operation, Selector } from "./protocol.js";
/** @import { Operation, Selector } from "./protocol.js" */
/** As `operation_id`: every operation. */
export declare const EVERYTHING = "*";
/**
 * Return the field of a selector as a command carries it.
 *
 * @param {Selector} selector
 * @returns {Record<string, string>}
 */
export declare function selectorFields(selector: Selector): Record<string, string>;
/**
 * Return whether a selector covers an operation.
 *
 * @param {Record<string, string>} fields
 * @param {Operation} operation
 */
export declare function selects(fields: Record<string, string>, operation: Operation): boolean;
/**
 * Return whether a text matches a glob, as Python's `fnmatch` does. All possible matches are
 * followed at once, in time proportional to the product of the lengths.
 *
 * @param {string} glob
 * @param {string} text
 */
export declare function matchesGlob(glob: string, text: string): boolean;
