/**
 * The snapshots of all watched operations, by subscription. The subscription manager feeds it with
 * events and replies; it folds and delivers them.
 *
 * Pure: `subscription_manager.js` sends the commands.
 */
import { Subscription } from "./subscriptions.js";
import type { ResumeState } from "./resume_state.js";
import type { Operation, ProgressEvent } from "./protocol.js";
/** @import { ResumeState } from "./resume_state.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
export declare class OperationStore {
    #private;
    /** All subscriptions, by key. @type {Map<string, Subscription>} */
    subscriptions: Map<string, Subscription>;
    /** The subscriptions by selector. @type {Set<Subscription>} */
    selectors: Set<Subscription>;
    /** @param {ResumeState} resumeState Knows the events that were seen. */
    constructor(resumeState: ResumeState);
    /**
     * Return the subscription to an id or a selector; add it if it is new.
     *
     * @param {Record<string, string>} fields The fields of the `subscribe` command.
     * @param {number} limit Minimum number of operations to keep.
     */
    add(fields: Record<string, string>, limit: number): Subscription;
    /** @param {Subscription} subscription */
    remove(subscription: Subscription): void;
    /**
     * Apply an event and deliver it.
     *
     * @param {ProgressEvent} event
     * @returns {boolean} Whether a snapshot must be fetched, because the event is the first known
     *   one and does not tell all that selectors look at.
     */
    applyEvent(event: ProgressEvent): boolean;
    /**
     * Apply a snapshot of a reply. The sidecar sends replies and events in one order, so a snapshot
     * is never older than the events applied before it.
     *
     * @param {Operation} operation
     */
    update(operation: Operation): void;
}
