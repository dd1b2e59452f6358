/**
 * The list of a selector's operations, fetched page by page. Called by `subscription_manager.js`.
 *
 * Runs in: a page, a worker, or Node.
 */
import type { Operation } from "./protocol.js";
import type { Socket } from "./socket.js";
import type { Subscription } from "./subscriptions.js";
/** @import { Frame, Operation } from "./protocol.js" */
/** @import { Socket } from "./socket.js" */
/** @import { Subscription } from "./subscriptions.js" */
/** Operations, or nodes of a tree, in one page; the maximum of the protocol. */
export declare const PAGE_SIZE = 1000;
/**
 * Fetch the newest operations of a selector, up to the limit of the subscription. Stop early when
 * its last listener is gone.
 *
 * @param {Socket} socket Its errors reject the promise.
 * @param {Subscription} subscription
 * @param {(operation: Operation) => void} onOperation Called for each page, the oldest first.
 */
export declare function fetchOperations(socket: Socket, { fields, listeners, limit: left }: Subscription, onOperation: (operation: Operation) => void): Promise<void>;
