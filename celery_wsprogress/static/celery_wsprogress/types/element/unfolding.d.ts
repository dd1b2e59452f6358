/**
 * The button of `<celery-progress workflow-id="…">` that unfolds its steps, and the box below the
 * bar. The steps themselves are loaded when they are first wanted.
 *
 * Runs in: a page.
 */
import type { Client } from "../client.js";
import type { Operation } from "../client/protocol.js";
import type { Words } from "./format.js";
/** @import { Client } from "../client.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { Words } from "./format.js" */
/** @import { StepsView } from "./steps_view.js" */
export declare class Unfolding {
    #private;
    /** @param {HTMLElement} host The element, with a built shadow tree. */
    constructor(host: HTMLElement);
    /**
     * Show the button where there is more than one step, and the steps where they are unfolded.
     *
     * @param {Operation | null} operation
     * @param {Client | null} client
     * @param {string | null} id The id of the workflow; null where none is shown.
     * @param {() => Words} words
     */
    paint(operation: Operation | null, client: Client | null, id: string | null, words: () => Words): void;
    /** Remove the steps. */
    close(): void;
}
