/**
 * One line after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */
import { Line } from "./line.js";
import { TokenSource } from "./tokens.js";
import { Watching } from "./watching.js";
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
/** @import { Frame } from "./protocol.js" */
/** @import { Credentials } from "./tokens.js" */
/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss How the last line ended.
 * @property {number} code The close code; 1006 where there was none.
 * @property {string} reason
 * @property {number} retryAt When the next attempt is made, in milliseconds since the epoch.
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
    /** @param {() => any} connect Makes a WebSocket. */
    constructor(connect: () => any);
    /**
     * Close it for good.
     *
     * @param {Error} error Why.
     */
    stop(error: Error): void;
    /**
     * Send a command and return its reply; without a line, or while it does not know the token, it
     * waits for the next one.
     *
     * @param {Frame} command
     * @param {TokenSource} source Whose token grants it.
     * @returns {Promise<Frame>}
     */
    ask(command: Frame, source: TokenSource): Promise<Frame>;
    /**
     * How it stands for a client: it is open when the line knows the client's token.
     *
     * @param {TokenSource} source
     * @returns {ConnectionState}
     */
    stateFor(source: TokenSource): ConnectionState;
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
     * @param {Error} error Why.
     * @returns {boolean} Whether it was the last client.
     */
    leave(source: TokenSource, onRefused: (error: Error) => void, error: Error): boolean;
    /** @param {any} event */
    onEvent(event: any): void;
    /** @param {Line} line */
    onWelcome(line: Line): void;
    /**
     * @param {number} code
     * @param {string} reason
     */
    onEnd(code: number, reason: string): void;
}
