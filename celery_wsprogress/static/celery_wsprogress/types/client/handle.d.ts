/**
 * What all handles can do: tell what happens, be iterated, and be closed.
 */
import type { Connection } from "./connection.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { TokenSource } from "./tokens.js";
export type EventHandler = (event: ProgressEvent, operation: Operation, replayed: boolean) => void;
export type Handlers = {
    onProgress?: EventHandler;
    onStatus?: EventHandler;
    onLog?: EventHandler;
    onChunk?: EventHandler;
    onResult?: EventHandler;
    onCompleted?: EventHandler;
    /**
     * The operation failed or was cancelled.
     */
    onError?: EventHandler;
    /**
     * Anything is different; the event is null where it was a snapshot that said it.
     */
    onChange?: (operation: Operation, event: ProgressEvent | null, replayed: boolean) => void;
    /**
     * It may not be watched, or the
     * connection is over for good.
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
};
export type HandleContext = {
    connection: Connection;
    source: TokenSource;
    handles: Set<Handle>;
};
export type Deferred = {
    promise: Promise<any>;
    resolve: (value?: any) => void;
    reject: (error: unknown) => void;
};
/** What somebody watches by. */
export declare class Handle {
    #private;
    /** Why nothing more comes, where it should. @type {Error | null} */
    error: Error | null;
    closed: boolean;
    /** Events that were let go because whoever iterates did not take them in time. */
    missed: number;
    /** Resolves when what there is to know at first is known; rejects where it may not be. */
    ready: Promise<any>;
    /**
     * @param {HandleContext} context
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, options: WatchOptions);
    /**
     * Call a function whenever something is different.
     *
     * @param {() => void} observer
     * @returns {() => void} Stop calling it.
     */
    observe(observer: () => void): () => void;
    /**
     * Watch no more.
     *
     * @param {unknown} [_reason] Why; an AbortError where it is not said.
     */
    close(_reason?: unknown): void;
    /**
     * The events as they come: of an operation from the start of its run until its end, of several
     * until that of the last.
     *
     * @returns {AsyncGenerator<ProgressEvent, void, void>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<ProgressEvent, void, void>;
    /** Whether everything that it watches has come to its end. */
    get over(): boolean;
    /**
     * @param {Record<string, string>} fields
     * @param {number} limit
     * @returns {Map<string, Operation>}
     */
    subscribe(fields: Record<string, string>, limit?: number): Map<string, Operation>;
    /**
     * Let go of one that has ended, unless it is to be watched on.
     *
     * @param {string} id
     */
    release(id: string): void;
    /** @param {string} [_id] Of which operation, where there are several. */
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
     * @param {string} [id] Of which operation, where there are several.
     * @param {boolean} [whole] Nothing is left to watch.
     */
    reject(error: Error, id?: string, whole?: boolean): void;
    /** */
    notify(): void;
}
/**
 * Call what is somebody else's: it may fail, and that is no reason for the others to.
 *
 * @param {() => void} other
 */
export declare function callSafely(other: () => void): void;
/**
 * A promise and what settles it.
 *
 * @returns {Deferred}
 */
export declare function withResolvers(): Deferred;
