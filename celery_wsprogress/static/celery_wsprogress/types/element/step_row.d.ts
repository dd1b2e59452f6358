/**
 * One row of the steps of `<celery-progress>`: a task, a chain or a group.
 *
 * Runs in: a page.
 */
import type { Words } from "./format.js";
import type { StepRow } from "./step_rows.js";
/** @import { Words } from "./format.js" */
/** @import { StepRow } from "./step_rows.js" */
export declare class Row {
    #private;
    element: HTMLDivElement;
    constructor();
    /**
     * Place it among the rows.
     *
     * @param {StepRow} row
     * @param {number} top In pixels.
     * @param {boolean} unfolded
     */
    place({ node, level, position, size }: StepRow, top: number, unfolded: boolean): void;
    /**
     * @param {StepRow} row
     * @param {Words} words
     * @param {string | undefined} language
     * @param {boolean} isDetailed Whether what its exception said may be shown.
     */
    paint({ node }: StepRow, words: Words, language: string | undefined, isDetailed: boolean): void;
}
