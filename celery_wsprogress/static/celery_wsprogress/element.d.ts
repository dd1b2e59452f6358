/**
 * `<celery-progress task-id="…">`: a bar that follows an operation.
 *
 *     <script type="module" src="http://localhost:8765/element.js"></script>
 *     <celery-progress task-id="…"></celery-progress>
 *
 * Attributes: `task-id`, or `group-id` for all members of a workflow; `url` of the sidecar, which
 * is the one this module came from where it is not given; `label`; `token`. Slots: `label`,
 * `result`. Parts: `label`, `status`, `bar`, `fill`, `message`, `figures`, `error`, `result`. The
 * attributes `state`, `status`, `indeterminate` and `connection` say how it stands, for styles.
 *
 * Each event of the operation is dispatched on the element, as `celery-progress`, `celery-log` and
 * so on, bubbling, with `event` and `operation` in its `detail`; `celery-change` for anything.
 *
 * Runs in: a page. On a server it can be imported, and does nothing.
 */
import type { Monitor, Watch } from "./handles.js";
import type { Operation } from "./protocol.js";
import type { GetToken } from "./tokens.js";
import type { Words } from "./wording.js";
/** A server has no elements. @type {typeof HTMLElement} */
declare const Base: typeof HTMLElement;
export declare class CeleryProgress extends Base {
    #private;
    static observedAttributes: string[];
    /** The words it uses. @type {Words} */
    static words: Words;
    constructor();
    /** The handle of what it shows: `.done`, `.observe`, … */
    get handle(): Monitor | Watch | null;
    /** How the operation stands. @returns {Operation | null} */
    get operation(): Operation | null;
    /** Gives a token, where the sidecar has a key and tokens expire. */
    get getToken(): GetToken | undefined;
    set getToken(getToken: GetToken | undefined);
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** @param {string} name */
    attributeChangedCallback(name: string): void;
}
export {};
