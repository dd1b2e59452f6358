/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */
import { Line } from "./line.js";
import { TokenSource } from "./tokens.js";
import type { WebSocketClass } from "./line.js";
import type { Frame, Operation } from "./protocol.js";
import type { Watcher } from "./subscriptions.js";
import type { Credentials } from "./tokens.js";
export type ConnectionState = "connecting" | "open" | "reconnecting" | "closed";
export type Loss = {
    /**
     * The close code; 1006 where there was none.
     */
    code: number;
    reason: string;
    /**
     * When the next attempt is made, in milliseconds since the epoch.
     */
    retryAt: number;
};
export type Waiting = {
    resolve: (line: Line) => void;
    reject: (error: Error) => void;
};
export declare class Connection {
    #private;
    /** @type {ConnectionState} */
    state: ConnectionState;
    /** Why it is over for good. @type {Error | null} */
    error: Error | null;
    /** @type {Loss | null} */
    lost: Loss | null;
    /** `data` of the first frame of the latest line. @type {Frame} */
    welcome: Frame;
    /** @type {Set<() => void>} */
    observers: Set<() => void>;
    /**
     * @param {string} url
     * @param {WebSocketClass} WebSocket
     */
    constructor(url: string, WebSocket: WebSocketClass);
    /**
     * Close it for good.
     *
     * @param {Error} error Why.
     */
    stop(error: Error): void;
    /**
     * Send a command and return its reply; without a line it waits for the next one.
     *
     * @param {Frame} command
     * @returns {Promise<Frame>}
     */
    ask(command: Frame): Promise<Frame>;
    /**
     * Let one more watch an id, or what a selector means.
     *
     * @param {Record<string, string>} fields What `subscribe` says.
     * @param {Watcher} watcher
     * @param {TokenSource} source Whose token grants it.
     * @param {number} limit Operations that are kept.
     * @returns {{ operations: Map<string, Operation>, leave: () => void }}
     */
    subscribe(fields: Record<string, string>, watcher: Watcher, source: TokenSource, limit: number): {
        operations: Map<string, Operation>;
        leave: () => void;
    };
    /**
     * Take one more client, and tell the sidecar its token if that is a new one.
     *
     * @param {Credentials} credentials
     * @param {(error: Error) => void} onRefused
     * @returns {TokenSource}
     */
    enter(credentials: Credentials, onRefused: (error: Error) => void): TokenSource;
    /**
     * @param {TokenSource} source
     * @param {(error: Error) => void} onRefused What it entered with.
     * @returns {boolean} Whether it was the last client.
     */
    leave(source: TokenSource, onRefused: (error: Error) => void): boolean;
}
