/**
 * The announcements of `<celery-progress>` to screen readers, through its live region.
 *
 * Runs in: a page.
 */
import type { Operation } from "../client/protocol.js";
import type { Display } from "./display.js";
export declare class Announcer {
    #private;
    /** @param {ShadowRoot} root */
    constructor(root: ShadowRoot);
    /**
     * Announce a change of status or of a quarter of the progress, with the texts of the bar.
     *
     * @param {Operation | null} operation
     * @param {Display} display
     */
    announce(operation: Operation | null, { status, word, text, problem }: Display): void;
    /** Cancel the announcement that waits. */
    stop(): void;
}
