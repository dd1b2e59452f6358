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
 * so on, bubbling, once for each element, with `event`, `operation` and `replayed` in its `detail`:
 * whether it happened before it was watched. `celery-change` comes for anything.
 *
 * Runs in: a page. On a server it can be imported, and does nothing.
 */
import type { Monitor, Watch } from "./types/client/handles.js";
import type { Operation } from "./types/client/protocol.js";
import type { GetToken } from "./types/client/tokens.js";
import type { Words } from "./types/element/format.js";
export type Display = {
    /**
     * A word or two.
     */
    status: string;
    /**
     * A sentence.
     */
    text?: string;
    /**
     * One that says why there is nothing.
     */
    problem?: string;
    connection?: string;
};
/**
 * @typedef {object} Display How it is put where it stands.
 * @property {string} status A word or two.
 * @property {string} [text] A sentence.
 * @property {string} [problem] One that says why there is nothing.
 * @property {string} [connection]
 */
/** A server has no elements. @type {typeof HTMLElement} */
declare const Base: typeof HTMLElement;
export declare class CeleryProgress extends Base {
    #private;
    static observedAttributes: string[];
    /** The words it uses; those that are not given are in English. @type {Partial<Words>} */
    static words: Partial<Words>;
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
    /**
     * @param {string} name
     * @param {string | null} before
     * @param {string | null} after
     */
    attributeChangedCallback(name: string, before: string | null, after: string | null): void;
}
export {};
