/**
 * What `watch`, `watchMany` and `monitor` give: how things stand, what happens, and how it ends.
 */
import { Handle } from "./handle.js";
import type { HandleContext, MonitorOptions, Deferred, WatchOptions } from "./handle.js";
import type { Operation, ProgressEvent } from "./protocol.js";
/** @import { HandleContext, MonitorOptions, Deferred, WatchOptions } from "./handle.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** Operations by their ids, on the way to their ends. */
declare class IdHandle extends Handle {
    #private;
    ids: string[];
    /** How each of them ended, by id. @type {Map<string, PromiseSettledResult<unknown>>} */
    results: Map<string, PromiseSettledResult<unknown>>;
    /** Settles when all have ended. @type {Deferred} */
    ended: Deferred;
    /** What they gave. @type {Map<string, unknown>} */
    values: Map<string, unknown>;
    /**
     * @param {HandleContext} context
     * @param {Iterable<string>} ids
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, ids: Iterable<string>, options: WatchOptions);
    /** How those stand that somebody has heard of, by id. @returns {Map<string, Operation>} */
    get operations(): Map<string, Operation>;
    /** Whether all their ends were seen. */
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
/** One operation. */
export declare class Watch extends IdHandle {
    id: string;
    /** The result; rejects with an OperationError where there is none. @type {Promise<any>} */
    done: Promise<any>;
    /**
     * @param {HandleContext} context
     * @param {string} id
     * @param {WatchOptions} options
     */
    constructor(context: HandleContext, id: string, options: WatchOptions);
    /** How it stands; null where nobody has heard of it. @returns {Operation | null} */
    get operation(): Operation | null;
    /** What the operation gave, once it is known. @returns {unknown} */
    get result(): unknown;
    /**
     * @param {Error} error
     * @param {string} [id]
     */
    reject(error: Error, id?: string): void;
}
/** Several operations. */
export declare class WatchMany extends IdHandle {
    /** Resolves with `results` when all have ended. @type {Promise<Map<string, PromiseSettledResult<unknown>>>} */
    done: Promise<Map<string, PromiseSettledResult<unknown>>>;
}
/** Every operation of a kind. */
export declare class Monitor extends Handle {
    /** How they stand, by id, in no order. @type {Map<string, Operation>} */
    operations: Map<string, Operation>;
    /**
     * @param {HandleContext} context
     * @param {Record<string, string>} fields
     * @param {MonitorOptions} options
     */
    constructor(context: HandleContext, fields: Record<string, string>, { limit, ...options }: MonitorOptions);
}
export {};
