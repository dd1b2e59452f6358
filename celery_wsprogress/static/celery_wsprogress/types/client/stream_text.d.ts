/**
 * A stream of a task put together: its chunks, and its text so far.
 *
 * Pure.
 */
import type { ProgressEvent } from "./protocol.js";
/** What has come of one stream in the newest run. Events may come again; each counts once. */
export declare class StreamText {
    #private;
    /** The pieces of text, behind each other; of another value its JSON, on a line of its own. */
    text: string;
    /** @type {any[]} */
    chunks: any[];
    closed: boolean;
    /** Whether chunks are missing: the beginning is not held any more, or the worker dropped some. */
    missing: boolean;
    /** @param {string | null} name The name of the stream. */
    constructor(name: string | null);
    /** Number of its runs that have sent something: with another one all begins anew. */
    get runs(): number;
    /**
     * Take an event of the operation.
     *
     * @param {ProgressEvent} event
     * @returns {boolean} Whether it has changed anything.
     */
    add({ event_type: type, run, data }: ProgressEvent): boolean;
}
