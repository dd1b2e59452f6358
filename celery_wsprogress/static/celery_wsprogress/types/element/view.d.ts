/**
 * The rendering of `<celery-progress>`: its shadow tree and its reflected attributes. The element
 * calls it at most once per animation frame.
 *
 * Runs in: a page.
 */
import type { EventOf } from "../client/events.js";
import type { Operation } from "../client/protocol.js";
import type { Display } from "./display.js";
import type { Words } from "./format.js";
/** @import { EventOf } from "../client/events.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Display } from "./display.js" */
/** @import { Words } from "./format.js" */
export declare class View {
    #private;
    /** @param {HTMLElement} host The element, with an open shadow root. */
    constructor(host: HTMLElement);
    /**
     * Show an operation.
     *
     * @param {Operation | null} operation Null while it is unknown.
     * @param {Display} display
     * @param {Words} words
     * @param {boolean} isGroup The operation stands for the members of a workflow.
     * @param {EventOf<"result"> | null} resultEvent The event with the result.
     * @param {number} now Epoch seconds by the clock of the sidecar.
     */
    render(operation: Operation | null, display: Display, words: Words, isGroup: boolean, resultEvent: EventOf<"result"> | null, now: number): void;
}
