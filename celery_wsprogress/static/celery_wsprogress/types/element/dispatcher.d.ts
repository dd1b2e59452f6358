/**
 * The events that `<celery-progress>` dispatches, each event of the operation once.
 *
 * Runs in: a page.
 */
import type { Operation, ProgressEvent } from "../client/protocol.js";
export declare class Dispatcher {
    #private;
    /** @param {HTMLElement} host */
    constructor(host: HTMLElement);
    /**
     * @param {string} name
     * @param {object} detail
     */
    dispatch(name: string, detail: object): void;
    /**
     * Dispatch a change and the event that brought it, unless that was dispatched already.
     *
     * @param {Operation} operation
     * @param {ProgressEvent | null} event
     * @param {boolean} replayed
     */
    dispatchOnce(operation: Operation, event: ProgressEvent | null, replayed: boolean): void;
    /** Forget what was dispatched, of another operation. */
    forget(): void;
}
