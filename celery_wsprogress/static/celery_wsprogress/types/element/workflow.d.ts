/**
 * Operations that stand for several tasks: a workflow as the sidecar shows it, and the members of a
 * group, put together here.
 *
 * Pure.
 */
import type { Operation } from "../client/protocol.js";
/** @import { Operation, State, WorkflowCounts } from "../client/protocol.js" */
/**
 * Return the operation of a workflow as the bar shows it: the number of its tasks that are over, and
 * the name of the task that reported last before its message.
 *
 * @param {Operation} operation
 * @param {{ workflow: string }} words
 * @returns {Operation}
 */
export declare function describeWorkflow(operation: Operation, words: {
    workflow: string;
}): Operation;
/**
 * Return one snapshot for all members: mean progress, number of ended members, first error.
 *
 * @param {string} id
 * @param {Iterable<Operation>} members
 * @param {number} [total] How many there are, if some are not known yet.
 * @returns {Operation | null} Null without members.
 */
export declare function aggregate(id: string, members: Iterable<Operation>, total?: number): Operation | null;
