/**
 * The list of a selector's operations, fetched page by page. Called by `subscription_manager.js`.
 *
 * Runs in: a page, a worker, or Node.
 */

/** @import { Frame, Operation } from "./protocol.js" */
/** @import { Socket } from "./socket.js" */
/** @import { Subscription } from "./subscriptions.js" */

/** Operations, or nodes of a tree, in one page; the maximum of the protocol. */
export const PAGE_SIZE = 1_000;

/**
 * Fetch the newest operations of a selector, up to the limit of the subscription. Stop early when
 * its last listener is gone.
 *
 * @param {Socket} socket Its errors reject the promise.
 * @param {Subscription} subscription
 * @param {(operation: Operation) => void} onOperation Called for each page, the oldest first.
 */
export async function fetchOperations(socket, { fields, listeners, limit: left }, onOperation) {
  const filter = fields.operation_id ? {} : fields;
  let cursor = null;
  const onReply = (/** @type {Frame} */ reply) => {
    for (const operation of reply.operations.reverse()) onOperation(operation);
    left -= reply.operations.length;
    cursor = reply.next;
  };
  do {
    const limit = Math.min(left, PAGE_SIZE);
    await socket.request({ command: "list_operations", ...filter, limit, cursor }, onReply);
  } while (cursor && left > 0 && listeners.size);
}
