/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */
import { Line } from "./line.js";
import { TokenSource } from "./tokens.js";
import { Watching } from "./watching.js";
import type { WebSocketClass } from "./line.js";
import type { Frame } from "./protocol.js";
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
/** @import { WebSocketClass } from "./line.js" */
/** @import { Frame } from "./protocol.js" */
/** @import { Credentials } from "./tokens.js" */
/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss How the last line ended.
 * @property {number} code The close code; 1006 where there was none.
 * @property {string} reason
 * @property {number} retryAt When the next attempt is made, in milliseconds since the epoch.
 *
 * @typedef {{ resolve: (line: Line) => void, reject: (error: Error) => void }} Waiting
 */
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
    /** What is watched through it. */
    watching: Watching;
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
     * @param {(reply: Frame) => void} [onReply] Called before anything behind the reply is read.
     * @returns {Promise<Frame>}
     */
    ask(command: Frame, onReply?: (reply: Frame) => void): Promise<Frame>;
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
