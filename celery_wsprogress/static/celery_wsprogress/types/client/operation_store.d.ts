/**
 * How everything that is watched stands, and who is told what happens to it.
 *
 * Pure: what is socket of the sidecar for it is the affair of `watching.js`.
 */
import { Subscription } from "./subscriptions.js";
import type { ResumeState } from "./resume_state.js";
import type { Operation, ProgressEvent } from "./protocol.js";
/** @import { ResumeState } from "./resume_state.js" */
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/**
 * By which a subscription is found.
 *
 * @param {Record<string, string>} fields What `subscribe` says.
 */
export declare function subscriptionKey(fields: Record<string, string>): string;
export declare class OperationStore {
    #private;
    /** By a key of what they are. @type {Map<string, Subscription>} */
    subscriptions: Map<string, Subscription>;
    /** Those of them that a selector means. @type {Set<Subscription>} */
    bySelector: Set<Subscription>;
    /** @param {ResumeState} resumeState Says which events were seen. */
    constructor(resumeState: ResumeState);
    /**
     * The subscription to an id, or to what a selector means.
     *
     * @param {Record<string, string>} fields What `subscribe` says.
     * @param {number} limit Operations that it keeps, at the least.
     */
    add(fields: Record<string, string>, limit: number): Subscription;
    /** @param {Subscription} subscription */
    remove(subscription: Subscription): void;
    /**
     * Take an event as it comes.
     *
     * @param {ProgressEvent} event
     * @returns {boolean} Whether what happened before it is still to be learned.
     */
    applyEvent(event: ProgressEvent): boolean;
    /**
     * Take a snapshot for what is known: replies come before events, so it is never replay them.
     *
     * @param {Operation} operation
     */
    update(operation: Operation): void;
}
