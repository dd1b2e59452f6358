/**
 * The base of all handles: observers, event handlers, iteration, closing. Created by `client.js`;
 * the subscription manager delivers events to it.
 */
import type { Connection } from "./connection.js";
import type { EventOf, EventType } from "./events.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { TokenSource } from "./tokens.js";
export type EventHandler<Type extends EventType> = (event: EventOf<Type>, operation: Operation, replayed: boolean) => void;
export type Handlers = {
    onProgress?: EventHandler<"progress">;
    onStatus?: EventHandler<"status">;
    onLog?: EventHandler<"log">;
    onChunk?: EventHandler<"chunk">;
    onResult?: EventHandler<"result">;
    onCompleted?: EventHandler<"completed">;
    /**
     * The operation failed or was cancelled.
     */
    onError?: EventHandler<"error">;
    /**
     * Called for any change; the event is null if a snapshot brought the change.
     */
    onChange?: (operation: Operation, event: ProgressEvent | null, replayed: boolean) => void;
    /**
     * The watch was rejected, or the
     * connection is closed for good.
     */
    onRefused?: (error: Error, id?: string) => void;
};
export type WatchOptions = Handlers & {
    signal?: AbortSignal;
    max_rate?: number;
    stay?: boolean;
};
export type MonitorOptions = WatchOptions & {
    limit?: number;
    covers?: (id: string) => boolean;
};
export type HandleContext = {
    connection: Connection;
    source: TokenSource;
    handles: Set<Handle>;
};
/** The base class of `Watch`, `WatchMany` and `Monitor`. */
export declare class Handle {
    #private;
    /** The reason why the handle was rejected. @type {Error | null} */
    error: Error | null;
    closed: boolean;
    /** The number of events that were dropped because the iterator was too slow. */
    missed: number;
    /** Resolves when the first snapshots are known; rejects when the watch is rejected. */
    ready: Promise<any>;
    /**
     * @param {HandleContext} context
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, options: WatchOptions);
    /**
     * Call a function after each change.
     *
     * @param {() => void} observer
     * @returns {() => void} Stops the calls.
     */
    observe(observer: () => void): () => void;
    /**
     * Stop watching.
     *
     * @param {unknown} [_reason] The reason; by default an AbortError.
     */
    close(_reason?: unknown): void;
    /**
     * Iterate the events, from the start of the run to the end of the last operation.
     *
     * @returns {AsyncGenerator<ProgressEvent, void, void>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<ProgressEvent, void, void>;
    /** Whether all operations have ended. */
    get over(): boolean;
    /**
     * @param {Record<string, string>} fields
     * @param {number} limit
     * @returns {Map<string, Operation>}
     */
    subscribe(fields: Record<string, string>, limit?: number): Map<string, Operation>;
    /**
     * Unsubscribe from an operation that has ended, unless `stay` is set.
     *
     * @param {string} id
     */
    release(id: string): void;
    /** @param {string} [_id] The operation that is ready, for a handle of several. */
    markReady(_id?: string): void;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation
     * @param {boolean} replayed
     */
    deliver(event: ProgressEvent, operation: Operation, replayed: boolean): void;
    /** @param {Operation} operation */
    update(operation: Operation): void;
    /**
     * @param {Error} error
     * @param {string} [id] The operation, for a handle of several.
     * @param {boolean} [whole] The handle has no other operation.
     */
    reject(error: Error, id?: string, whole?: boolean): void;
    /** Call the observers. */
    notify(): void;
}
