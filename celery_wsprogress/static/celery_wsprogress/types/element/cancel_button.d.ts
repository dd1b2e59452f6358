/**
 * The button of `<celery-progress cancellable>`.
 *
 * Runs in: a page.
 */
import type { Client } from "../client.js";
import type { Operation } from "../client/protocol.js";
import type { Words } from "./format.js";
/** @import { Client } from "../client.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */
export declare class CancelButton {
    #private;
    /**
     * @param {HTMLElement} host The element, with an open shadow root.
     * @param {object} hooks
     * @param {() => void} hooks.onChange Called when it must be rendered.
     * @param {(error: Error) => void} hooks.onRefused Called when the sidecar refuses it.
     */
    constructor(host: HTMLElement, hooks: {
        onChange: () => void;
        onRefused: (error: Error) => void;
    });
    /**
     * Offer to cancel an operation, where the page wants that and the sidecar can.
     *
     * @param {Operation | null} operation
     * @param {Client | null} client
     * @param {Words} words
     * @param {boolean} isGroup The operation stands for the members of a group, put together here.
     */
    render(operation: Operation | null, client: Client | null, words: Words, isGroup: boolean): void;
}
