/**
 * A stream of a task: the chunks of a partial result, as they come. `handle.stream(name)` makes it.
 */
import type { ProgressEvent } from "./protocol.js";
/** @import { ProgressEvent } from "./protocol.js" */
/** The chunks of one stream in the current run. Each iteration begins at the first one. */
export declare class ChunkStream {
    #private;
    /** Whether chunks are missing: the beginning is not held any more, or the worker dropped some. */
    missing: boolean;
    /**
     * @param {AsyncIterable<ProgressEvent>} events Those of the operation.
     * @param {string} name
     */
    constructor(events: AsyncIterable<ProgressEvent>, name: string);
    /**
     * Yield the chunks until the stream is closed, its run is over, or the operation has ended.
     *
     * @returns {AsyncGenerator<any, void, void>}
     */
    [Symbol.asyncIterator](): AsyncGenerator<any, void, void>;
    /** The same chunks as a `ReadableStream`. @returns {ReadableStream<any>} */
    get readable(): ReadableStream<any>;
}
