/**
 * The steps below the bar of `<celery-progress workflow-id="…">`: a tree, of which only the visible
 * rows exist, however many tasks there are. Loaded when it is first unfolded.
 *
 * Runs in: a page.
 */
import type { Client } from "../client.js";
import type { Words } from "./format.js";
export declare class StepsView {
    #private;
    /**
     * @param {HTMLElement} box Where to show them.
     * @param {Client} client
     * @param {string} id The id of the workflow.
     * @param {() => Words} words
     */
    constructor(box: HTMLElement, client: Client, id: string, words: () => Words);
    /** Stop watching, and remove the rows. */
    close(): void;
}
