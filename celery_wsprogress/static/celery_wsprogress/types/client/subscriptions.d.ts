/**
 * What a page watches: a subscription for each id or selector, and a listener in it for each handle.
 *
 * Pure: what is to be sent for it is the connection's affair.
 */
import type { Operation, ProgressEvent } from "./protocol.js";
import type { TokenSource } from "./tokens.js";
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */
/** Progress a second that a sidecar tells at the most: what those want who do not say. */
export declare const NO_RATE_LIMIT = 1000;
export type Subscriber = {
    /**
     * Something
     * happened; it was before the handle began where it is replayed.
     */
    deliver: (event: ProgressEvent, operation: Operation, replayed: boolean) => void;
    /**
     * More is known of an operation.
     */
    update: (operation: Operation) => void;
    /**
     * What there is to know at first is known.
     */
    markReady: (id?: string) => void;
    /**
     * It may not watch, or not any more.
     */
    reject: (error: Error, id?: string) => void;
};
/**
 * @typedef {object} Subscriber Who sits in a listener.
 * @property {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} deliver Something
 *   happened; it was before the handle began where it is replayed.
 * @property {(operation: Operation) => void} update More is known of an operation.
 * @property {(id?: string) => void} markReady What there is to know at first is known.
 * @property {(error: Error, id?: string) => void} reject It may not watch, or not any more.
 */
/** One handle's place in a subscription. */
export declare class Listener {
    #private;
    handle: Subscriber;
    source: TokenSource;
    rate: number;
    /** The line that was socket to let it begin. @type {object | null} */
    socket: object | null;
    /** What comes from now on is for it. */
    active: boolean;
    /** It was socket for a second time, with a new token. */
    retried: boolean;
    /** How its operation stood when it began, until it has had what made it so. @type {Operation | null} */
    replay: Operation | null;
    /**
     * @param {Subscriber} handle
     * @param {TokenSource} source
     * @param {number} [rate] Progress a second and operation that are enough for it.
     */
    constructor(handle: Subscriber, source: TokenSource, rate?: number);
    /**
     * Whether an event that it accepts was told before it began.
     *
     * @param {ProgressEvent} event
     */
    isReplay(event: ProgressEvent): boolean;
    /** Take it to be catchUp with the others: only what is new is for it. */
    catchUp(): void;
    /**
     * Whether the event is one that its handle has not had.
     *
     * @param {ProgressEvent} event
     * @param {boolean} fresh Nobody has had it.
     */
    accepts({ event_id: eventId }: ProgressEvent, fresh: boolean): boolean;
}
/** All who watch the same. */
export declare class Subscription {
    #private;
    fields: Record<string, string>;
    limit: number;
    /** The operation's id, or undefined where it is a selector's. */
    id: string | undefined;
    /** @type {Set<Listener>} */
    listeners: Set<Listener>;
    /** @type {Map<string, Operation>} */
    operations: Map<string, Operation>;
    /**
     * @param {Record<string, string>} fields What `subscribe` says.
     * @param {number} limit Operations that it keeps.
     */
    constructor(fields: Record<string, string>, limit: number);
    /** Whether somebody is told what is known already. */
    get replaying(): boolean;
    /** @param {Operation} operation */
    selects(operation: Operation): boolean;
    /**
     * @param {Operation} operation
     */
    keep(operation: Operation): void;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation How it stands after the event.
     * @param {boolean} fresh Nobody has had it.
     */
    deliver(event: ProgressEvent, operation: Operation, fresh: boolean): void;
    /** @param {Operation} operation */
    update(operation: Operation): void;
}
