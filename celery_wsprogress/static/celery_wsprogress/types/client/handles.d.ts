/**
 * The handles that `watch`, `watchMany` and `monitor` return.
 */
import { ChunkStream } from "./chunk_stream.js";
import { Handle } from "./handle.js";
import type { Deferred } from "./deferred.js";
import type { HandleContext, MonitorOptions, WatchOptions } from "./handle.js";
import type { Operation, ProgressEvent } from "./protocol.js";
/** @import { Deferred } from "./deferred.js" */
/** @import { HandleContext, MonitorOptions, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** A handle of operations by id, with their results. */
declare class IdHandle extends Handle {
    #private;
    ids: string[];
    /**
     * The results of the operations that have ended, by id.
     * @type {Map<string, PromiseSettledResult<unknown>>}
     */
    results: Map<string, PromiseSettledResult<unknown>>;
    /** Resolves when all have ended. @type {Deferred} */
    ended: Deferred;
    /** The results of tasks, by id. @type {Map<string, unknown>} */
    values: Map<string, unknown>;
    /**
     * @param {HandleContext} context
     * @param {Iterable<string>} ids
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, ids: Iterable<string>, options: WatchOptions);
    /** The snapshots of the known operations, by id. @returns {Map<string, Operation>} */
    get operations(): Map<string, Operation>;
    /** Whether all operations have ended. */
    get over(): boolean;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation
     * @param {boolean} replayed
     */
    deliver(event: ProgressEvent, operation: Operation, replayed: boolean): void;
    /**
     * @param {Error} error
     * @param {string} [id]
     * @param {boolean} [whole]
     */
    reject(error: Error, id?: string, whole?: boolean): void;
    /** @param {string} [id] */
    markReady(id?: string): void;
    /** @param {unknown} [reason] */
    close(reason?: unknown): void;
}
/** The handle of one operation. */
export declare class Watch extends IdHandle {
    id: string;
    /**
     * Resolves with the result; rejects with an OperationError if the operation failed.
     * @type {Promise<any>}
     */
    done: Promise<any>;
    /**
     * @param {HandleContext} context
     * @param {string} id
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, id: string, options: WatchOptions);
    /** The snapshot; null if the operation is unknown. @returns {Operation | null} */
    get operation(): Operation | null;
    /** The result; undefined until it is known. @returns {unknown} */
    get result(): unknown;
    /**
     * Return a stream of the task: an async iterable of its chunks, from the first one that is held.
     *
     * @param {string} name
     * @returns {ChunkStream}
     */
    stream(name: string): ChunkStream;
    /**
     * @param {Error} error
     * @param {string} [id]
     */
    reject(error: Error, id?: string): void;
}
/** The handle of several operations. */
export declare class WatchMany extends IdHandle {
    /**
     * Resolves with `results` when all have ended.
     * @type {Promise<Map<string, PromiseSettledResult<unknown>>>}
     */
    done: Promise<Map<string, PromiseSettledResult<unknown>>>;
}
/** The handle of all operations of a selector. */
export declare class Monitor extends Handle {
    covers: ((id: string) => boolean) | undefined;
    /** The snapshots by id, in no order. @type {Map<string, Operation>} */
    operations: Map<string, Operation>;
    /**
     * @param {HandleContext} context
     * @param {Record<string, string>} fields
     * @param {MonitorOptions} options
     */
    constructor(context: HandleContext, fields: Record<string, string>, { limit, covers, ...options }: MonitorOptions);
}
export {};
