/**
 * What `<celery-progress>` follows, as its attributes name it: a task, a workflow, several tasks, or
 * the members of a group.
 *
 * Runs in: a page.
 */
import type { Client } from "../client.js";
import type { WatchOptions } from "../client/handle.js";
import type { Monitor, Watch, WatchMany } from "../client/handles.js";
import type { Operation } from "../client/protocol.js";
/** @import { Client } from "../client.js" */
/** @import { WatchOptions } from "../client/handle.js" */
/** @import { Monitor, Watch, WatchMany } from "../client/handles.js" */
/** @import { Operation } from "../client/protocol.js" */
/** The attributes that name it; the first one that is set counts. */
export declare const TARGETS: string[];
export declare class Target {
    /** The name of the attribute; undefined where none is set. */
    name: string | undefined;
    /** The id, or the ids between spaces; empty where none is given. */
    id: string;
    /** @param {Element} host */
    constructor(host: Element);
    get isWorkflow(): boolean;
    /** Whether it is several operations, put together here. */
    get isMany(): boolean;
    /** Another one, if it differs. */
    get key(): string;
    /**
     * Begin to follow it.
     *
     * @param {Client} client
     * @param {WatchOptions} options
     * @returns {Watch | WatchMany | Monitor}
     */
    watch(client: Client, options: WatchOptions): Watch | WatchMany | Monitor;
    /**
     * Return its snapshot, with tasks that are not known yet as queued; null if nothing is known.
     *
     * @param {Watch | WatchMany | Monitor | null} handle As returned by `watch`.
     * @returns {Operation | null}
     */
    operationOf(handle: Watch | WatchMany | Monitor | null): Operation | null;
}
