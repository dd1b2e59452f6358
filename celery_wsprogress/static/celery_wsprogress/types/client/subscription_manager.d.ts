/**
 * The subscriptions of one connection, over all of its sockets. It sends `subscribe` and
 * `unsubscribe` as handles come and go, and resumes on each new socket.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Socket } from "./socket.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { Subscriber } from "./subscriptions.js";
import type { TokenSource } from "./tokens.js";
/** @import { Socket } from "./socket.js" */
/** @import { Frame, Operation, ProgressEvent } from "./protocol.js" */
/** @import { Subscription, Subscriber } from "./subscriptions.js" */
/** @import { TokenSource } from "./tokens.js" */
export declare class SubscriptionManager {
    #private;
    /**
     * Start to use a socket.
     *
     * @param {Socket} socket
     * @param {(source: TokenSource) => Promise<void>} sendToken Sends a new token.
     */
    onConnect(socket: Socket, sendToken: (source: TokenSource) => Promise<void>): void;
    /**
     * Resume, on a new socket, the subscriptions of a token.
     *
     * @param {Socket} socket
     * @param {TokenSource} source
     */
    resume(socket: Socket, source: TokenSource): Promise<void>;
    /**
     * Complete the subscriptions of a token that the socket has accepted.
     *
     * @param {TokenSource} source
     */
    onAuthenticated(source: TokenSource): void;
    /** The socket has closed. */
    onClose(): void;
    /** @param {ProgressEvent} event */
    onEvent(event: ProgressEvent): void;
    /**
     * Add a listener to an id or a selector.
     *
     * @param {Record<string, string>} fields The fields of the `subscribe` command.
     * @param {Subscriber} handle
     * @param {TokenSource} source The token that grants it.
     * @param {number} limit Number of operations to keep.
     * @param {number} [rate] Maximum number of progress events per second and operation.
     * @returns {{ operations: Map<string, Operation>, unsubscribe: () => void }}
     */
    subscribe(fields: Record<string, string>, handle: Subscriber, source: TokenSource, limit: number, rate?: number): {
        operations: Map<string, Operation>;
        unsubscribe: () => void;
    };
}
