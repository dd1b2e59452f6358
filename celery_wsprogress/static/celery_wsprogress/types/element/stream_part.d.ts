/**
 * The part of `<celery-progress stream="…">` that shows a stream of the task as text, while it is
 * written.
 *
 * Runs in: a page.
 */
import type { ProgressEvent } from "../client/protocol.js";
/** @import { ProgressEvent } from "../client/protocol.js" */
export declare class StreamPart {
    #private;
    /** @param {HTMLElement} host The element, with an open shadow root. */
    constructor(host: HTMLElement);
    /**
     * Follow the stream that the element names, from its beginning if it is another one.
     *
     * @param {string | null} id The operation; null for a group, whose streams are not shown.
     */
    follow(id: string | null): void;
    /** @param {ProgressEvent} event */
    add(event: ProgressEvent): void;
    /** Append what has come, so that a reader may go on to select and a screen reader to read. */
    render(): void;
}
