/**
 * One WebSocket: from the attempt to open it, over its welcome, to its end.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Frame } from "./protocol.js";
/**
 * What frames with whole numbers that JavaScript cannot hold were made of; of a history it is by
 * its list. @type {WeakMap<object, string>}
 */
export declare const frameTexts: WeakMap<object, string>;
/** The connection ended before the reply came. Never leaves the client. */
export declare class ConnectionLost extends Error {
}
export type SocketHandlers = {
    /**
     * It is open, and the first frame is read.
     */
    onWelcome: (line: Socket) => void;
    onEvent: (event: any) => void;
    /**
     * Once, and last.
     */
    onClose: (code: number, reason: string) => void;
};
export type WebSocketClass = new (url: string) => any;
export type PendingReply = {
    resolve: (reply: Frame) => void;
    reject: (error: Error) => void;
};
/**
 * @typedef {object} SocketHandlers Where a line says what happens to it.
 * @property {(line: Socket) => void} onWelcome It is open, and the first frame is read.
 * @property {(event: any) => void} onEvent
 * @property {(code: number, reason: string) => void} onClose Once, and last.
 *
 * @typedef {new (url: string) => any} WebSocketClass
 *
 * @typedef {{ resolve: (reply: Frame) => void, reject: (error: Error) => void }} PendingReply
 */
export declare class Socket {
    #private;
    /** The first frame. @type {Frame | null} */
    welcome: Frame | null;
    /**
     * @param {any} socket
     * @param {SocketHandlers} handlers
     */
    constructor(socket: any, handlers: SocketHandlers);
    /**
     * Send a command and wait for its reply.
     *
     * @param {Frame} command
     * @param {(reply: Frame) => void} [onReply] Called with the reply before anything behind it is
     *   read; who waits for the promise may be called later.
     * @returns {Promise<Frame>} Rejects with a CommandError where the sidecar does not take it, and
     *   with ConnectionLost where the connection handlers before it says so.
     */
    request(command: Frame, onReply?: (reply: Frame) => void): Promise<Frame>;
    /** Find out whether it still lives, now. */
    ping(): void;
    /** Close it for good; its end is told at once. */
    close(): void;
    /**
     * Let go of it: it is of no use.
     *
     * @param {string} reason
     */
    fail(reason: string): void;
}
