/**
 * One WebSocket: opening, welcome, commands and replies, heartbeat, close. Created by
 * `connection.js`.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Frame } from "./protocol.js";
/**
 * The texts of frames with integers that JavaScript cannot hold, by frame, or by the list of a
 * history. @type {WeakMap<object, string>}
 */
export declare const frameTexts: WeakMap<object, string>;
/** The socket closed before the reply came. Not visible to users of the client. */
export declare class ConnectionLost extends Error {
}
export type SocketHandlers = {
    /**
     * Called when the welcome frame has come.
     */
    onWelcome: (socket: Socket) => void;
    onEvent: (event: any) => void;
    /**
     * Called once, and last.
     */
    onClose: (code: number, reason: string) => void;
};
export type WebSocketClass = new (url: string) => any;
export type PendingReply = {
    resolve: (reply: Frame) => void;
    reject: (error: Error) => void;
};
/**
 * @typedef {object} SocketHandlers The owner of a socket.
 * @property {(socket: Socket) => void} onWelcome Called when the welcome frame has come.
 * @property {(event: any) => void} onEvent
 * @property {(code: number, reason: string) => void} onClose Called once, and last.
 *
 * @typedef {new (url: string) => any} WebSocketClass
 *
 * @typedef {{ resolve: (reply: Frame) => void, reject: (error: Error) => void }} PendingReply
 */
export declare class Socket {
    #private;
    /** The welcome frame. @type {Frame | null} */
    welcome: Frame | null;
    /**
     * @param {any} webSocket
     * @param {SocketHandlers} handlers
     */
    constructor(webSocket: any, handlers: SocketHandlers);
    /**
     * Send a command and wait for its reply.
     *
     * @param {Frame} command
     * @param {(reply: Frame) => void} [onReply] Called with the reply before the next frame is read;
     *   the promise may resolve later.
     * @returns {Promise<Frame>} Rejects with a CommandError if the sidecar rejects the command, and
     *   with ConnectionLost if the socket closes first.
     */
    request(command: Frame, onReply?: (reply: Frame) => void): Promise<Frame>;
    /** Send a ping now; without an answer in time the socket is closed. */
    ping(): void;
    /** Close the socket; `onClose` is called at once. */
    close(): void;
    /**
     * Close the socket as lost.
     *
     * @param {string} reason
     */
    fail(reason: string): void;
}
