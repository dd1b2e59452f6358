/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */
import type { Connection } from "./connection.js";
import type { Operation, ProgressEvent } from "./protocol.js";
import type { TokenSource } from "./tokens.js";
export type EventHandler = (event: ProgressEvent, operation: Operation) => void;
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
     * Anything is
     * different; the event is null where it was a snapshot that said it.
     */
    onChange?: (operation: Operation, event: ProgressEvent | null) => void;
    /**
     * It may not be watched, or the
     * connection is over for good.
     */
    onRefused?: (error: Error, id?: string) => void;
};
export type WatchOptions = Handlers & {
    signal?: AbortSignal;
};
export type MonitorOptions = WatchOptions & {
    limit?: number;
};
export type Desk = {
    connection: Connection;
    source: TokenSource;
    onClose: (handle: Handle) => void;
};
/** What all handles can do. */
export declare class Handle {
    #private;
    /** Why nothing more comes, where it should. @type {Error | null} */
    error: Error | null;
    closed: boolean;
    /** Resolves when what there is to know at first is known; rejects where it may not be. */
    ready: Promise<void>;
    /**
     * @param {Desk} desk
     * @param {WatchOptions} options
     */
    constructor(desk: Desk, options: WatchOptions);
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
     * The events as they come: of an operation until its end, of several until that of the last.
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
    /** */
    begin(): void;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation
     */
    take(event: ProgressEvent, operation: Operation): void;
    /** @param {Operation} operation */
    change(operation: Operation): void;
    /**
     * @param {Error} error
     * @param {string} [id]
     */
    refuse(error: Error, id?: string): void;
    /** */
    notify(): void;
    /**
     * Call what is somebody else's: it may fail, and that is no reason for the others to.
     *
     * @param {() => void} other
     */
    call(other: () => void): void;
}
/** One operation. */
export declare class Watch extends Handle {
    #private;
    id: string;
    /** What the operation gave, once it is known. @type {unknown} */
    result: unknown;
    /** The result; rejects with an OperationError where there is none. @type {Promise<any>} */
    done: Promise<any>;
    /**
     * @param {Desk} desk
     * @param {string} id
     * @param {WatchOptions} options
     */
    constructor(desk: Desk, id: string, options: WatchOptions);
    /** How it stands; null where nobody has heard of it. @returns {Operation | null} */
    get operation(): Operation | null;
    /** Whether its end was seen. */
    get over(): boolean;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation
     */
    take(event: ProgressEvent, operation: Operation): void;
    /**
     * @param {Error} error
     * @param {string} [id]
     */
    refuse(error: Error, id?: string): void;
    /** @param {unknown} [reason] */
    close(reason?: unknown): void;
}
/** Several operations. */
export declare class WatchMany extends Handle {
    #private;
    ids: string[];
    /** How each of them ended, by id. @type {Map<string, PromiseSettledResult<unknown>>} */
    results: Map<string, PromiseSettledResult<unknown>>;
    /** Resolves with `results` when all have ended. @type {Promise<Map<string, PromiseSettledResult<unknown>>>} */
    done: Promise<Map<string, PromiseSettledResult<unknown>>>;
    /**
     * @param {Desk} desk
     * @param {Iterable<string>} ids
     * @param {WatchOptions} options
     */
    constructor(desk: Desk, ids: Iterable<string>, options: WatchOptions);
    /** How those stand that somebody has heard of, by id. @returns {Map<string, Operation>} */
    get operations(): Map<string, Operation>;
    /** Whether all their ends were seen. */
    get over(): boolean;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation
     */
    take(event: ProgressEvent, operation: Operation): void;
    /**
     * @param {Error} error
     * @param {string} [id]
     */
    refuse(error: Error, id?: string): void;
    /** @param {unknown} [reason] */
    close(reason?: unknown): void;
}
/** Every operation of a kind. */
export declare class Monitor extends Handle {
    /** How they stand, by id: those that began first come first. @type {Map<string, Operation>} */
    operations: Map<string, Operation>;
    /**
     * @param {Desk} desk
     * @param {Record<string, string>} fields
     * @param {MonitorOptions} options
     */
    constructor(desk: Desk, fields: Record<string, string>, { limit, ...options }: MonitorOptions);
}
