/**
 * `<celery-progress task-id="…">`: a bar that follows an operation.
 *
 *     <script type="module" src="http://localhost:8765/element.js"></script>
 *     <celery-progress task-id="…"></celery-progress>
 *
 * Attributes: `task-id`; or `workflow-id` for a chain, a group or a chord, whose steps unfold
 * (`expanded`); or `task-ids` for several tasks, with spaces between them, as one bar; or `group-id`
 * for all members of a group; `url` of the sidecar, by default the one that served this module;
 * `label`; `token`, or `token-url`, from which tokens are fetched; `cancellable`, which shows a
 * button where the sidecar lets anybody cancel; `stream`, the name of a stream of the task whose
 * text is shown; `no-result` and `no-error-detail`, which hide these. Slots:
 * `label`, `result`, `stream`. Parts: `label`, `status`, `cancel`, `bar`, `fill`, `phases`, `phase`,
 * `phase-fill`, `message`, `figures`, `error`, `stream`, `result`, `toggle`, `steps`. The attributes
 * `state`, `status`, `indeterminate` and `connection` reflect the state, for styles.
 *
 * Each event of the operation is dispatched on the element, as `celery-progress`, `celery-log` and
 * so on, bubbling, once for each element, with `event`, `operation` and `replayed` in its `detail`:
 * whether it is from before the watch began. `celery-change` is dispatched for any change,
 * `celery-cancel` before the task is cancelled, which a page may prevent.
 *
 * Runs in: a page. On a server it can be imported and does nothing.
 */
import type { Monitor, Watch, WatchMany } from "./types/client/handles.js";
import type { Operation } from "./types/client/protocol.js";
import type { GetToken } from "./types/client/tokens.js";
import type { Words } from "./types/element/format.js";
export type Display = import("./types/element/display.js").Display;
/** @typedef {import("./types/element/display.js").Display} Display */
/** A server has no `HTMLElement`. @type {typeof HTMLElement} */
declare const Base: typeof HTMLElement;
export declare class CeleryProgress extends Base {
    #private;
    static observedAttributes: string[];
    /** The words that it shows; missing ones are in English. @type {Partial<Words>} */
    static words: Partial<Words>;
    constructor();
    /** The handle of what the element shows: `.done`, `.observe`, … */
    get handle(): Monitor | Watch | WatchMany | null;
    /** The snapshot of the operation, or of all of them as one. @returns {Operation | null} */
    get operation(): Operation | null;
    /** A function that returns a token, for tokens that expire. */
    get getToken(): GetToken | undefined;
    set getToken(getToken: GetToken | undefined);
    connectedCallback(): void;
    disconnectedCallback(): void;
    /**
     * @param {string} name
     * @param {string | null} before
     * @param {string | null} after
     */
    attributeChangedCallback(name: string, before: string | null, after: string | null): void;
}
export {};

// The part that JSDoc cannot say; see `tests/static/additions`.

import type { EventOf, EventType, ProgressEvent } from "./types/client/events.js";

/** The `detail` of an event of the operation that the element dispatches. */
export type CeleryEventDetail<Type extends EventType> = {
    event: EventOf<Type>;
    operation: Operation;
    /** Whether the event is from before the element began to watch. */
    replayed: boolean;
};

/** The events that the element dispatches; they bubble. */
export interface CeleryEventMap {
    "celery-status": CustomEvent<CeleryEventDetail<"status">>;
    "celery-progress": CustomEvent<CeleryEventDetail<"progress">>;
    "celery-log": CustomEvent<CeleryEventDetail<"log">>;
    "celery-chunk": CustomEvent<CeleryEventDetail<"chunk">>;
    "celery-result": CustomEvent<CeleryEventDetail<"result">>;
    "celery-completed": CustomEvent<CeleryEventDetail<"completed">>;
    "celery-error": CustomEvent<CeleryEventDetail<"error">>;
    "celery-change": CustomEvent<{ event: ProgressEvent | null; operation: Operation; replayed: boolean }>;
    "celery-refused": CustomEvent<{ error: Error }>;
    "celery-step": CustomEvent<{ id: string }>;
    "celery-cancel": CustomEvent<{ operation: Operation }>;
}

declare global {
    interface HTMLElementTagNameMap {
        "celery-progress": CeleryProgress;
    }
    interface GlobalEventHandlersEventMap extends CeleryEventMap {}
}
