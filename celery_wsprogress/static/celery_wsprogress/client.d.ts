/**
 * Live progress of Celery tasks, in a page, a web worker, or Node.
 *
 *     const client = connect("ws://localhost:8765");
 *     const watch = client.watch(taskId, { onProgress: ({ data }) => show(data.progress) });
 *     const result = await watch.done;
 *
 * All clients of one address share one WebSocket. It reconnects by itself, and every watch
 * continues where it was: no event comes twice, and none that the sidecar still holds is missing.
 */
import { Connection } from "./types/client/connection.js";
import { Monitor, Watch, WatchMany } from "./types/client/handles.js";
import type { ConnectionState, Loss } from "./types/client/connection.js";
import type { MonitorOptions, WatchOptions } from "./types/client/handle.js";
import type { WebSocketClass } from "./types/client/socket.js";
import type { CancelOptions, CancelReply, Frame, Operation, ProgressEvent, Selector, TreeNode } from "./types/client/protocol.js";
import type { GetToken } from "./types/client/tokens.js";
/** @import { ConnectionState, Loss } from "./types/client/connection.js" */
/** @import { HandleContext, Handle, MonitorOptions, WatchOptions } from "./types/client/handle.js" */
/** @import { WebSocketClass } from "./types/client/socket.js" */
/** @import { CancelOptions, CancelReply, Frame, Operation, ProgressEvent, Selector, TreeNode } from "./types/client/protocol.js" */
/** @import { GetToken } from "./types/client/tokens.js" */
export { CommandError, ConnectionClosed, OperationError } from "./types/client/protocol.js";
export type ConnectOptions = {
    /**
     * The token, if the sidecar has a key.
     */
    token?: string;
    /**
     * Returns a token. Called for each connection, and again before
     * the token in use expires.
     */
    getToken?: GetToken;
    /**
     * The class to use where there is no global one, as in Node
     * 20.
     */
    WebSocket?: WebSocketClass;
};
export type ListFilter = {
    state?: string;
    /**
     * A glob.
     */
    operation_type?: string;
    tag?: string;
    group_id?: string;
    root_id?: string;
    /**
     * The id of a workflow.
     */
    steps_of?: string;
    /**
     * Up to 1,000.
     */
    limit?: number;
    /**
     * `next` of the page before.
     */
    cursor?: string | null;
};
/**
 * Connect to a sidecar. An unreachable sidecar is no error: the client tries again until it
 * answers.
 *
 * @param {string | URL} url `ws://…` or `wss://…`, or the `http(s)` address of the sidecar; may be
 *   relative to the page. It must hold no token.
 * @param {ConnectOptions} [options]
 * @returns {Client}
 */
export declare function connect(url: string | URL, options?: ConnectOptions): Client;
/** A client of one sidecar, with its own token and handles. */
export declare class Client {
    #private;
    url: string;
    /** The reason why the client is closed for good. @type {Error | null} */
    error: Error | null;
    /**
     * @param {string} url
     * @param {Connection} connection
     * @param {ConnectOptions} options
     */
    constructor(url: string, connection: Connection, options: ConnectOptions);
    /** @returns {ConnectionState} */
    get state(): ConnectionState;
    /** The loss of the last connection; null while connected. @returns {Loss | null} */
    get lost(): Loss | null;
    /** The features of the sidecar; empty before the first connection. @returns {string[]} */
    get features(): string[];
    /** The data of the welcome frame: `server`, `limits`, … @returns {Frame} */
    get welcome(): Frame;
    /** Epoch seconds by the clock of the sidecar, as in `starts_at` and the other times. */
    get now(): number;
    /**
     * Call a function whenever the state changes.
     *
     * @param {() => void} observer
     * @returns {() => void} Stops the calls.
     */
    observe(observer: () => void): () => void;
    /**
     * Watch one operation, from the start of its current run.
     *
     * @param {string} id The Celery task id; the id that the caller holds, of a workflow.
     * @param {WatchOptions & { workflow?: boolean }} [options] `workflow`: watch the chain, group or
     *   chord with this id as one operation. A task that is no part of one is a workflow of one step.
     * @returns {Watch}
     */
    watch(id: string, options?: WatchOptions & {
        workflow?: boolean;
    }): Watch;
    /**
     * Watch several operations.
     *
     * @param {Iterable<string>} ids
     * @param {WatchOptions} [options]
     * @returns {WatchMany}
     */
    watchMany(ids: Iterable<string>, options?: WatchOptions): WatchMany;
    /**
     * Watch every operation, or those of a selector: their snapshots, and events from now on.
     *
     * @param {Selector} [selector]
     * @param {MonitorOptions} [options]
     * @returns {Monitor}
     */
    monitor(selector?: Selector, options?: MonitorOptions): Monitor;
    /**
     * Return a page of the operations that the sidecar holds, newest first.
     *
     * @param {ListFilter} [filter]
     * @returns {Promise<{ operations: Operation[], next: string | null }>}
     */
    list(filter?: ListFilter): Promise<{
        operations: Operation[];
        next: string | null;
    }>;
    /**
     * Return the snapshot of an operation; null if the sidecar does not know it.
     *
     * @param {string} id
     * @returns {Promise<Operation | null>}
     */
    get(id: string): Promise<Operation | null>;
    /**
     * Return the newest events of an operation, oldest first, including those of earlier runs.
     *
     * @param {string} id
     * @param {{ limit?: number }} [options]
     * @returns {Promise<{ events: ProgressEvent[], complete: boolean }>} `complete`: no earlier
     *   event has been evicted.
     */
    history(id: string, { limit }?: {
        limit?: number;
    }): Promise<{
        events: ProgressEvent[];
        complete: boolean;
    }>;
    /**
     * Return the tasks of a workflow, each behind the node that contains it.
     *
     * @param {string} id The id that its caller holds.
     * @returns {Promise<{ total: number, nodes: TreeNode[] }>} `total`: of its tasks; 0 if unknown.
     */
    tree(id: string): Promise<{
        total: number;
        nodes: TreeNode[];
    }>;
    /**
     * Yield the same in pages, each when it comes.
     *
     * @param {string} id
     * @returns {AsyncGenerator<{ total: number, nodes: TreeNode[] }, void, void>}
     */
    treePages(id: string): AsyncGenerator<{
        total: number;
        nodes: TreeNode[];
    }, void, void>;
    /**
     * Return the counters of the sidecar.
     *
     * @returns {Promise<Record<string, number>>}
     */
    stats(): Promise<Record<string, number>>;
    /**
     * Ask for an operation to be cancelled. How it ends comes as its events.
     *
     * @param {string} id
     * @param {CancelOptions} [options]
     * @returns {Promise<CancelReply>}
     */
    cancel(id: string, { terminate, reason }?: CancelOptions): Promise<CancelReply>;
    /** Close all handles and release the connection. */
    close(): void;
}

// The part that JSDoc cannot say; see `tests/static/additions`.

export type { EventOf, EventType } from "./types/client/events.js";
export type { Operation, ProgressEvent, Selector, State } from "./types/client/protocol.js";
