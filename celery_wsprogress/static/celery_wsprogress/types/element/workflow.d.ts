/**
 * Several operations as one: how a workflow stands, by its members.
 *
 * Pure.
 */
import type { Operation } from "../client/protocol.js";
/** @import { Operation, State } from "../client/protocol.js" */
/**
 * One snapshot for all members: their mean progress, how many have ended, and the first error.
 *
 * @param {string} id
 * @param {Iterable<Operation>} members
 * @returns {Operation | null} Null where there are none.
 */
export declare function aggregate(id: string, members: Iterable<Operation>): Operation | null;
