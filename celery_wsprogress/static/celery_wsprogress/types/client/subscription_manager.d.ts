/**
 * Everything that is watched through one connection, whichever socket it has: what the sidecar is
 * socket for, when somebody comes or goes and when there is a new socket.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Socket } from "./socket.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { Subscriber } from "./subscriptions.js";
import type { TokenSource } from "./tokens.js";
export declare class SubscriptionManager {
    #private;
    /**
     * Use a socket.
     *
     * @param {Socket} socket
     * @param {(source: TokenSource) => Promise<void>} sendToken Tells it a new token.
     */
    onConnect(socket: Socket, sendToken: (source: TokenSource) => Promise<void>): void;
    /**
     * Subscribe retried, on a new socket, to what those watched on the one before who have this token.
     *
     * @param {Socket} socket
     * @param {TokenSource} source
     */
    resume(socket: Socket, source: TokenSource): Promise<void>;
    /**
     * Ask for what those are to see whose token the socket knows now.
     *
     * @param {TokenSource} source
     */
    onAuthenticated(source: TokenSource): void;
    /** The socket is gone. */
    onDisconnect(): void;
    /** @param {ProgressEvent} event */
    onEvent(event: ProgressEvent): void;
    /**
     * Let one more watch an id, or what a selector means.
     *
     * @param {Record<string, string>} fields What `subscribe` says.
     * @param {Subscriber} handle
     * @param {TokenSource} source Whose token grants it.
     * @param {number} limit Operations that are kept.
     * @param {number} [rate] Progress a second and operation, at the most.
     * @returns {{ operations: Map<string, Operation>, unsubscribe: () => void }}
     */
    subscribe(fields: Record<string, string>, handle: Subscriber, source: TokenSource, limit: number, rate?: number): {
        operations: Map<string, Operation>;
        unsubscribe: () => void;
    };
}
