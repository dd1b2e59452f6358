/**
 * The commands of the resume state, sent on a new socket. Called by `subscription_manager.js`.
 *
 * Runs in: a page, a worker, or Node.
 */

import { CommandError } from "./protocol.js";

/** @import { Frame } from "./protocol.js" */
/** @import { Socket } from "./socket.js" */

/**
 * Send one command. If the sidecar rejects a list of ids, send them one by one, so that only the
 * ids that the token no longer grants are rejected.
 *
 * @param {Socket} socket
 * @param {Frame} command
 * @param {(fields: Record<string, string>, error: CommandError) => void} onReject Called for each
 *   rejected id or selector.
 * @returns {Promise<void>}
 */
export async function resubscribe(socket, command, onReject) {
  const { command: name, operation_ids: ids = [], since, ...fields } = command;
  try {
    await socket.request({ ...command, resync: true });
  } catch (error) {
    if (!(error instanceof CommandError) || name !== "subscribe") return;
    if (ids.length < 2) return onReject(ids.length ? { operation_id: ids[0] } : fields, error);
    for (const id of ids) {
      const one = { command: name, operation_ids: [id], since: since?.[id] && since };
      await resubscribe(socket, one, onReject);
    }
  }
}
