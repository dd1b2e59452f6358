/**
 * The subscriptions and the last seen events of a client, to resume after a loss of connection.
 *
 * {@link ResumeState#resume} returns the commands for the next connection; {@link
 * ResumeState#accept} recognises events that come a second time.
 *
 * Pure.
 */
import type { Frame, ProgressEvent } from "./protocol.js";
/** The state of one connection. */
export declare class ResumeState {
    #private;
    /** Subscribed ids, in the order of subscription. @type {Set<string>} */
    ids: Set<string>;
    /** The fields of subscribed selectors, by key. @type {Map<string, Record<string, string>>} */
    selectors: Map<string, Record<string, string>>;
    /** @param {string} id */
    add(id: string): void;
    /** @param {string} id */
    remove(id: string): void;
    /**
     * Return whether the event with this id was seen.
     *
     * @param {string} eventId
     */
    has(eventId: string): boolean;
    /**
     * Remember an event. Return false if it was seen before.
     *
     * @param {ProgressEvent} event
     */
    accept(event: ProgressEvent): boolean;
    /**
     * Yield the commands of a new connection, in their order.
     *
     * Operations of a selector that have not ended are subscribed by id for a moment, because
     * `since` holds for ids only.
     *
     * @param {(fields: Record<string, string>) => unknown} [wanted] Called once for each
     *   subscription.
     * @returns {Generator<Frame>}
     */
    resume(wanted?: (fields: Record<string, string>) => unknown): Generator<Frame>;
}
