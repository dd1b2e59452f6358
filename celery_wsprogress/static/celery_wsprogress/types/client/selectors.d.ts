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
 * What a command says to select: the selector's field, or that it is everything.
 *
 * @param {Selector} selector
 * @returns {Record<string, string>}
 */
export declare function selectorFields(selector: Selector): Record<string, string>;
/**
 * Whether the fields of a selector mean this operation, as far as it is known.
 *
 * @param {Record<string, string>} fields
 * @param {Operation} operation
 */
export declare function selects(fields: Record<string, string>, operation: Operation): boolean;
/**
 * Whether a text is as a glob says, as Python's `fnmatch` has it: all ways to read it at once, in
 * time that grows with the length of the one times that of the other.
 *
 * @param {string} glob
 * @param {string} text
 */
export declare function matchesGlob(glob: string, text: string): boolean;
