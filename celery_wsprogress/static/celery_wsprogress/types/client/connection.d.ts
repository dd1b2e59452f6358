/**
 * The connection to one sidecar, shared by all clients of one address. It opens one socket after
 * another, authenticates the tokens on each, and hands events to the subscription manager.
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
     * The close code; 1006 if there was none.
     */
    code: number;
    reason: string;
    /**
     * Time of the next attempt, in milliseconds since the epoch.
     */
    retryAt: number;
};
/** @import { Frame } from "./protocol.js" */
/** @import { Credentials } from "./tokens.js" */
/**
 * @typedef {"connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 *
 * @typedef {object} Loss The end of the last socket.
 * @property {number} code The close code; 1006 if there was none.
 * @property {string} reason
 * @property {number} retryAt Time of the next attempt, in milliseconds since the epoch.
 */
export declare class Connection {
    #private;
    /** @type {ConnectionState} */
    state: ConnectionState;
    /** The reason why the connection is closed for good. @type {Error | null} */
    error: Error | null;
    /** @type {Loss | null} */
    lost: Loss | null;
    /** `data` of the first frame of the latest socket. @type {Frame} */
    welcome: Frame;
    /** All subscriptions of its clients. */
    subscriptions: SubscriptionManager;
    /** @type {Set<() => void>} */
    observers: Set<() => void>;
    /** @param {() => any} connect Returns a new WebSocket. */
    constructor(connect: () => any);
    /**
     * Close the connection for good.
     *
     * @param {Error} error The reason.
     */
    stop(error: Error): void;
    /**
     * Send a command and return its reply. Without a socket that knows the token, wait for one;
     * after a loss, send the command again.
     *
     * @param {Frame} command
     * @param {TokenSource} source The token that grants the command.
     * @returns {Promise<Frame>}
     */
    request(command: Frame, source: TokenSource): Promise<Frame>;
    /** Epoch seconds by the clock of the sidecar. */
    get now(): number;
    /**
     * Return the state for one client: it is open when the socket knows the token of the client.
     *
     * @param {TokenSource} source
     * @returns {ConnectionState}
     */
    stateFor(source: TokenSource): ConnectionState;
    /**
     * Add a client, and send its token to the sidecar if that is new.
     *
     * @param {Credentials} credentials
     * @param {(error: Error) => void} onRefused
     * @returns {TokenSource}
     */
    addClient(credentials: Credentials, onRefused: (error: Error) => void): TokenSource;
    /**
     * @param {TokenSource} source
     * @param {(error: Error) => void} onRefused As given to `addClient`.
     * @param {Error} error The reason.
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
