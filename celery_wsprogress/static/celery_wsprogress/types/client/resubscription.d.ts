/**
 * The commands of the resume state, sent on a new socket. Called by `subscription_manager.js`.
 *
 * Runs in: a page, a worker, or Node.
 */
import { CommandError } from "./protocol.js";
import type { Frame } from "./protocol.js";
import type { Socket } from "./socket.js";
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
export declare function resubscribe(socket: Socket, command: Frame, onReject: (fields: Record<string, string>, error: CommandError) => void): Promise<void>;
