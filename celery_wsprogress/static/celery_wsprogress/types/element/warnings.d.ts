/**
 * Details for operators, on the console, each once.
 *
 * Runs in: a page.
 */
import type { Loss } from "../client/connection.js";
/** @param {string} text */
export declare function warn(text: string): void;
/**
 * @param {string | undefined} url
 * @param {Loss} lost
 */
export declare function warnUnreachable(url: string | undefined, { reason, code }: Loss): void;
/** @param {string} id */
export declare function warnUnknown(id: string): void;
