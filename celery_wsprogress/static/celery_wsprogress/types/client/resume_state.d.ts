/**
 * What a client remembers, so that a lost connection costs it nothing.
 *
 * Which operations it subscribed to, the last event it saw of each, and the ids of the events it
 * saw lately. {@link ResumeState#resume} makes the commands of the next connection out of that;
 * {@link ResumeState#accept} keeps what comes a second time from being shown a second time.
 *
 * Pure.
 */
import type { Frame, ProgressEvent } from "./protocol.js";
/** What one client has subscribed to and seen. */
export declare class ResumeState {
    #private;
    /** Ids, in the order in which they were asked for. @type {Set<string>} */
    ids: Set<string>;
    /** The fields of the selectors, by a key. @type {Map<string, Record<string, string>>} */
    selectors: Map<string, Record<string, string>>;
    /** @param {string} id */
    add(id: string): void;
    /** @param {string} id */
    remove(id: string): void;
    /**
     * Whether the event with this id was seen.
     *
     * @param {string} eventId
     */
    has(eventId: string): boolean;
    /**
     * Take an event; false when it is known already.
     *
     * @param {ProgressEvent} event
     */
    accept(event: ProgressEvent): boolean;
    /**
     * The commands of a new connection, in their order.
     *
     * What came with a selector and has not ended is subscribed by id for a moment: `since` is
     * known for ids only.
     *
     * @param {(fields: Record<string, string>) => boolean} [wanted] Asked once for each
     *   subscription.
     * @returns {Generator<Frame>}
     */
    resume(wanted?: (fields: Record<string, string>) => boolean): Generator<Frame>;
}
