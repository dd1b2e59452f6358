/**
 * Live progress of Celery tasks, in a page, a web worker, or Node.
 *
 *     const client = connect("ws://localhost:8765");
 *     const watch = client.watch(taskId, { onProgress: ({ data }) => show(data.progress) });
 *     const result = await watch.done;
 *
 * All that connect to one address share one WebSocket. It comes back by itself when it is lost,
 * and what is watched goes on where it was: nothing comes twice, and nothing that the sidecar
 * still holds is missing.
 */
import { Connection } from "./types/client/connection.js";
import { Monitor, Watch, WatchMany } from "./types/client/handles.js";
import type { ConnectionState, Loss } from "./types/client/connection.js";
import type { MonitorOptions, WatchOptions } from "./types/client/handle.js";
import type { WebSocketClass } from "./types/client/socket.js";
import type { Frame, Operation, ProgressEvent, Selector } from "./types/client/protocol.js";
import type { GetToken } from "./types/client/tokens.js";
/** @import { ConnectionState, Loss } from "./types/client/connection.js" */
/** @import { HandleContext, Handle, MonitorOptions, WatchOptions } from "./types/client/handle.js" */
/** @import { WebSocketClass } from "./types/client/socket.js" */
/** @import { Frame, Operation, ProgressEvent, Selector } from "./types/client/protocol.js" */
/** @import { GetToken } from "./types/client/tokens.js" */
export { CommandError, ConnectionClosed, OperationError } from "./types/client/protocol.js";
export type ConnectOptions = {
    /**
     * Where the sidecar has a key.
     */
    token?: string;
    /**
     * The same, for tokens that expire: called for each connection,
     * and before the one in use expires.
     */
    getToken?: GetToken;
    /**
     * Where there is none by itself, as in Node 20.
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
     * Up to 1,000.
     */
    limit?: number;
    /**
     * What the page before said as `next`.
     */
    cursor?: string | null;
};
/**
 * Connect to a sidecar. Nothing is thrown for one that is not there: it is waited for.
 *
 * @param {string | URL} url `ws://…` or `wss://…`, or the address of the sidecar as a page's; may
 *   be relative to the page. Never with a token in it.
 * @param {ConnectOptions} [options]
 * @returns {Client}
 */
export declare function connect(url: string | URL, options?: ConnectOptions): Client;
/** A part of a page's, or a program's, that watches operations. */
export declare class Client {
    #private;
    url: string;
    /** Why it is over for good. @type {Error | null} */
    error: Error | null;
    /**
     * @param {string} url
     * @param {Connection} connection
     * @param {ConnectOptions} options
     */
    constructor(url: string, connection: Connection, options: ConnectOptions);
    /** @returns {ConnectionState} */
    get state(): ConnectionState;
    /** How the last connection was lost, until there is one again. @returns {Loss | null} */
    get lost(): Loss | null;
    /** What the sidecar offers; empty before the first connection. @returns {string[]} */
    get features(): string[];
    /** What the sidecar said when it was connected to: `server`, `limits`, … @returns {Frame} */
    get welcome(): Frame;
    /**
     * Call a function whenever the state changes.
     *
     * @param {() => void} observer
     * @returns {() => void} Stop calling it.
     */
    observe(observer: () => void): () => void;
    /**
     * Watch one operation, from the start of its current run.
     *
     * @param {string} id The Celery task id.
     * @param {WatchOptions} [options]
     * @returns {Watch}
     */
    watch(id: string, options?: WatchOptions): Watch;
    /**
     * Watch several operations.
     *
     * @param {Iterable<string>} ids
     * @param {WatchOptions} [options]
     * @returns {WatchMany}
     */
    watchMany(ids: Iterable<string>, options?: WatchOptions): WatchMany;
    /**
     * Watch every operation, or all of a kind: how they stand, and what happens from now on.
     *
     * @param {Selector} [selector]
     * @param {MonitorOptions} [options]
     * @returns {Monitor}
     */
    monitor(selector?: Selector, options?: MonitorOptions): Monitor;
    /**
     * A page of the operations that the sidecar holds, newest first.
     *
     * @param {ListFilter} [filter]
     * @returns {Promise<{ operations: Operation[], next: string | null }>}
     */
    list(filter?: ListFilter): Promise<{
        operations: Operation[];
        next: string | null;
    }>;
    /**
     * How an operation stands; null where the sidecar has not heard of it.
     *
     * @param {string} id
     * @returns {Promise<Operation | null>}
     */
    get(id: string): Promise<Operation | null>;
    /**
     * The newest events of an operation, oldest first, earlier runs included.
     *
     * @param {string} id
     * @param {{ limit?: number }} [options]
     * @returns {Promise<{ events: ProgressEvent[], complete: boolean }>} `complete` is whether
     *   nothing that the sidecar heard is missing before them.
     */
    history(id: string, { limit }?: {
        limit?: number;
    }): Promise<{
        events: ProgressEvent[];
        complete: boolean;
    }>;
    /**
     * The sidecar's figures.
     *
     * @returns {Promise<Record<string, number>>}
     */
    stats(): Promise<Record<string, number>>;
    /** Watch nothing more, and let go of the connection. */
    close(): void;
}
