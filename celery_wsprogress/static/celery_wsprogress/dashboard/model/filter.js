/**
 * The filter of the table: by state, type, tag, group or workflow, and text.
 *
 * Pure.
 */

import { workflowOperationId } from "../../client/protocol.js";
import { selects } from "../../client/selectors.js";
import { isWorkflow, workflowIdOf } from "./workflow_steps.js";

/** @import { Operation, State } from "../../client/protocol.js" */

/**
 * @typedef {"running" | "waiting" | "completed" | "error" | "cancelled"} Group States as the
 *   buttons group them.
 *
 * @typedef {object} Filter An empty field filters nothing.
 * @property {Group | ""} group
 * @property {string} type A glob if it contains `*`, `?` or `[`, else a part of the name.
 * @property {string} tag A part of a tag.
 * @property {string} within The id of a group, of a workflow or of its first task: its tasks.
 * @property {string} text Words that must all occur in the texts of the operation.
 * @property {boolean} workflows Only workflows.
 */

/** @type {Filter} */
export const EVERYTHING = Object.freeze({
  group: "", type: "", tag: "", within: "", text: "", workflows: false,
});

/** @type {Group[]} */
export const GROUPS = ["running", "waiting", "completed", "error", "cancelled"];

/** @type {Record<State, Group>} */
const GROUP_OF = {
  queued: "waiting",
  scheduled: "waiting",
  received: "waiting",
  running: "running",
  retrying: "running",
  replaced: "running",
  completed: "completed",
  error: "error",
  cancelled: "cancelled",
};

/**
 * @param {Operation} operation
 * @returns {Group}
 */
export function groupOf({ state }) {
  // A later version may have more states; none of them is an end.
  return GROUP_OF[state] ?? "running";
}

/** @param {Filter} filter */
export function isEmptyFilter({ group, type, tag, within, text, workflows }) {
  return !group && !workflows && [type, tag, within, text].every((one) => !one.trim());
}

/**
 * Return a function that tests whether an operation is shown.
 *
 * @param {Filter} filter
 * @param {(operation: Operation, workflowId: string) => boolean} [isStepOf] Whether an operation is
 *   known to be a step of a workflow, where its snapshot does not say it.
 * @returns {(operation: Operation) => boolean}
 */
export function makePredicate({ group, type, tag, within, text, workflows }, isStepOf = () => false) {
  /** @type {((operation: Operation) => boolean)[]} */
  const tests = [];
  if (group) tests.push((operation) => groupOf(operation) === group);
  if (workflows) tests.push(isWorkflow);
  if (type.trim()) tests.push(typeTest(type.trim()));
  const part = tag.trim().toLowerCase();
  if (part) tests.push(({ tags }) => tags.some((one) => one.toLowerCase().includes(part)));
  const whole = workflowIdOf(within.trim()) ?? within.trim();
  if (whole) tests.push((operation) => isPartOf(operation, whole) || isStepOf(operation, whole));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) tests.push((operation) => containsAll(operation, words));
  return (operation) => tests.every((test) => test(operation));
}

/**
 * @param {Operation} operation
 * @param {string} whole
 */
function isPartOf({ operation_id: id, group_id: group, root_id: root, workflow_ids: named }, whole) {
  if ([id, group, root, ...(named ?? [])].includes(whole)) return true;
  return id === workflowOperationId(whole);
}

/**
 * @param {string} type
 * @returns {(operation: Operation) => boolean}
 */
function typeTest(type) {
  if (/[*?[]/.test(type)) return (operation) => selects({ operation_type: type }, operation);
  const part = type.toLowerCase();
  return (operation) => operation.operation_type.toLowerCase().includes(part);
}

/**
 * @param {Operation} operation
 * @param {string[]} words In lower case.
 */
function containsAll(operation, words) {
  const { operation_id: id, operation_type: type, message, status, worker, queue } = operation;
  const fields = [id, type, message, status, worker, queue, operation.error, operation.error_type];
  const text = [...fields, ...operation.tags].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}
