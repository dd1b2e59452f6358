/**
 * The phases of a task as segments of the bar.
 *
 * Runs in: a page.
 */
import type { Operation } from "../client/protocol.js";
export type Phase = {
    name?: string;
    weight: number;
    state?: string;
    fraction: number;
};
/**
 * Draw the phases in a bar.
 *
 * @param {HTMLElement} bar Its last child is for the segments.
 * @param {Operation | null} operation
 * @returns {boolean} Whether there are phases.
 */
export declare function renderPhases(bar: HTMLElement, operation: Operation | null): boolean;
