/**
 * Subscriptions: one for each id or selector, with one listener for each handle.
 *
 * Pure: `subscription_manager.js` sends the commands.
 */
import type { Operation, ProgressEvent } from "./protocol.js";
import type { TokenSource } from "./tokens.js";
/** @import { Operation, ProgressEvent } from "./protocol.js" */
/** @import { TokenSource } from "./tokens.js" */
/** Progress events per second of a listener without `max_rate`: more than a sidecar sends. */
export declare const NO_RATE_LIMIT = 1000;
export type Subscriber = {
    /**
     * An
     * event; replayed if it is from before the watch began.
     */
    deliver: (event: ProgressEvent, operation: Operation, replayed: boolean) => void;
    /**
     * A new snapshot.
     */
    update: (operation: Operation) => void;
    /**
     * The first snapshots are known.
     */
    markReady: (id?: string) => void;
    /**
     * The watch was rejected.
     */
    reject: (error: Error, id?: string) => void;
    /**
     * Whether it knows that its selector covers an
     * operation. Events do not tell which workflows a task is in.
     */
    covers?: (id: string) => boolean;
};
/**
 * @typedef {object} Subscriber The receiver of events; a handle.
 * @property {(event: ProgressEvent, operation: Operation, replayed: boolean) => void} deliver An
 *   event; replayed if it is from before the watch began.
 * @property {(operation: Operation) => void} update A new snapshot.
 * @property {(id?: string) => void} markReady The first snapshots are known.
 * @property {(error: Error, id?: string) => void} reject The watch was rejected.
 * @property {(id: string) => boolean} [covers] Whether it knows that its selector covers an
 *   operation. Events do not tell which workflows a task is in.
 */
/**
 * Return the key of a subscription.
 *
 * @param {Record<string, string>} fields The fields of the `subscribe` command.
 */
export declare function subscriptionKey(fields: Record<string, string>): string;
/** One handle in a subscription. */
export declare class Listener {
    #private;
    handle: Subscriber;
    source: TokenSource;
    rate: number;
    /** The socket on which its `subscribe` was sent. @type {object | null} */
    socket: object | null;
    /** Whether its `subscribe` was answered. */
    active: boolean;
    /** Whether `subscribe` was sent again with a new token. */
    retried: boolean;
    /**
     * The snapshot of the reply, until the last event that it includes has been replayed.
     * @type {Operation | null}
     */
    replay: Operation | null;
    /**
     * @param {Subscriber} handle
     * @param {TokenSource} source
     * @param {number} [rate] Maximum number of progress events per second and operation.
     */
    constructor(handle: Subscriber, source: TokenSource, rate?: number);
    /**
     * Return whether an event is from before the listener was active.
     *
     * @param {ProgressEvent} event
     */
    isReplay(event: ProgressEvent): boolean;
    /**
     * Return whether its `subscribe` is still to be sent on a socket that has accepted its token.
     *
     * @param {object} socket
     */
    canSubscribe(socket: object): boolean;
    /** Accept only new events from now on. */
    catchUp(): void;
    /**
     * Return whether the handle has not had the event.
     *
     * @param {ProgressEvent} event
     * @param {boolean} fresh No listener has had it.
     */
    accepts({ event_id: eventId }: ProgressEvent, fresh: boolean): boolean;
}
/** The listeners of one id or selector, and its snapshots. */
export declare class Subscription {
    #private;
    fields: Record<string, string>;
    key: string;
    limit: number;
    /** The operation id; undefined for a selector. */
    id: string | undefined;
    /** @type {Set<Listener>} */
    listeners: Set<Listener>;
    /** @type {Map<string, Operation>} */
    operations: Map<string, Operation>;
    /**
     * @param {Record<string, string>} fields The fields of the `subscribe` command.
     * @param {number} limit Number of operations to keep.
     */
    constructor(fields: Record<string, string>, limit: number);
    /** Whether a run is being replayed for a listener. */
    get replaying(): boolean;
    /**
     * Return whether the token of a listener is from this source.
     *
     * @param {TokenSource} source
     */
    hasToken(source: TokenSource): boolean;
    /** @param {Operation} operation */
    selects(operation: Operation): boolean;
    /**
     * @param {Operation} operation
     */
    keep(operation: Operation): void;
    /**
     * @param {ProgressEvent} event
     * @param {Operation} operation The snapshot after the event.
     * @param {boolean} fresh No listener has had it.
     */
    deliver(event: ProgressEvent, operation: Operation, fresh: boolean): void;
    /** @param {Operation} operation */
    update(operation: Operation): void;
}
/**
 * Return the highest `max_rate` of the listeners of some subscriptions; undefined without any.
 *
 * @param {Iterable<Subscription>} subscriptions
 * @param {Listener} [joining] A listener that is not active yet.
 */
export declare function highestRate(subscriptions: Iterable<Subscription>, joining?: Listener): number | undefined;
