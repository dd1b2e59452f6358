/**
 * One socket after another to one sidecar, for everything on the page that watches through it.
 *
 * Runs in: a page, a worker, or Node.
 */
import { Socket } from "./socket.js";
import { TokenSource } from "./tokens.js";
import { SubscriptionManager } from "./subscription_manager.js";
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
 * @typedef {object} Loss How the last socket ended.
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
    /** `data` of the first frame of the latest socket. @type {Frame} */
    welcome: Frame;
    /** What is watched through it. */
    subscriptions: SubscriptionManager;
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
     * Send a command and return its reply; without a socket, or while it does not know the token, it
     * waits for the next one.
     *
     * @param {Frame} command
     * @param {TokenSource} source Whose token grants it.
     * @returns {Promise<Frame>}
     */
    request(command: Frame, source: TokenSource): Promise<Frame>;
    /**
     * How it stands for a client: it is open when the socket knows the client's token.
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
    addClient(credentials: Credentials, onRefused: (error: Error) => void): TokenSource;
    /**
     * @param {TokenSource} source
     * @param {(error: Error) => void} onRefused What it entered with.
     * @param {Error} error Why.
     * @returns {boolean} Whether it was the last client.
     */
    removeClient(source: TokenSource, onRefused: (error: Error) => void, error: Error): boolean;
    /** @param {any} event */
    onEvent(event: any): void;
    /** @param {Socket} socket */
    onWelcome(socket: Socket): void;
    /**
     * @param {number} code
     * @param {string} reason
     */
    onClose(code: number, reason: string): void;
}
