/**
 * The members of a workflow as one operation.
 *
 * Pure.
 */
import type { Operation } from "../client/protocol.js";
/** @import { Operation, State } from "../client/protocol.js" */
/**
 * Return one snapshot for all members: mean progress, number of ended members, first error.
 *
 * @param {string} id
 * @param {Iterable<Operation>} members
 * @returns {Operation | null} Null without members.
 */
export declare function aggregate(id: string, members: Iterable<Operation>): Operation | null;
