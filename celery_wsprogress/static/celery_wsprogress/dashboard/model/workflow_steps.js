/**
 * Which operations are workflows, and which are steps of one, so that the table can show steps below
 * their workflow.
 *
 * Snapshots of the sidecar name the workflows of a task; events do not. So the tasks of a workflow
 * are also learnt from its tree.
 *
 * Pure.
 */

import { workflowOperationId } from "../../client/protocol.js";
import { emptyOperation } from "../../client/reducer.js";

/** @import { Operation } from "../../client/protocol.js" */
/** @import { WorkflowNode, WorkflowTree } from "../../client/workflow_tree.js" */
/** @import { SortKey } from "./order.js" */

const PREFIX = workflowOperationId("");

/**
 * Return the id of a workflow that the caller holds; null for another operation.
 *
 * @param {string} operationId
 */
export function workflowIdOf(operationId) {
  return operationId.startsWith(PREFIX) ? operationId.slice(PREFIX.length) : null;
}

/**
 * Return the number of tasks of a workflow; 0 of another operation.
 *
 * @param {Operation | undefined} operation
 */
export function stepCount(operation) {
  if (!operation || workflowIdOf(operation.operation_id) === null) return 0;
  return /** @type {number} */ (operation.details.total ?? 0);
}

/**
 * Return whether an operation is a workflow of several steps. A task that is no part of a workflow
 * is also shown as one of a single step, to pages that ask for that.
 *
 * @param {Operation | undefined} operation
 */
export function isWorkflow(operation) {
  return stepCount(operation) > 1;
}

/** The steps that are known, by the id of their task. */
export class WorkflowSteps {
  #operations;
  /** The ids of the operations of their workflows. @type {Map<string, Set<string>>} */
  #workflows = new Map();

  /** @param {Map<string, Operation>} operations The snapshots; not changed here. */
  constructor(operations) {
    this.#operations = operations;
  }

  /**
   * Note that tasks are steps of a workflow.
   *
   * @param {string} workflowId The id that its caller holds.
   * @param {Iterable<string>} ids
   * @returns {string[]} Those that were not known to be.
   */
  add(workflowId, ids) {
    const workflow = workflowOperationId(workflowId);
    const added = [];
    for (const id of ids) {
      const known = this.#workflows.get(id) ?? new Set();
      if (known.has(workflow)) continue;
      this.#workflows.set(id, known.add(workflow));
      added.push(id);
    }
    return added;
  }

  /**
   * Return whether an operation stands below another row, or for the same as one.
   *
   * @param {Operation} operation
   */
  isBelow({ operation_id: id, workflow_ids: named = [], details }) {
    if (workflowIdOf(id) !== null) return details.total === 1;
    const known = [...(this.#workflows.get(id) ?? []), ...named.map(workflowOperationId)];
    return known.some((one) => isWorkflow(this.#operations.get(one)));
  }

  /**
   * Return whether an operation is known to be a step of a workflow.
   *
   * @param {Operation} operation
   * @param {string} workflowId The id that its caller holds.
   */
  isStepOf({ operation_id: id }, workflowId) {
    return this.#workflows.get(id)?.has(workflowOperationId(workflowId)) ?? false;
  }

  /** Forget the steps of workflows that are not held any more. */
  forgetEvicted() {
    for (const [id, workflows] of this.#workflows) {
      for (const one of workflows) if (!this.#operations.has(one)) workflows.delete(one);
      if (!workflows.size) this.#workflows.delete(id);
    }
  }
}

/**
 * @typedef {object} TableRow
 * @property {string} id The id of the operation.
 * @property {number} level 1; deeper for steps of an unfolded workflow.
 * @property {WorkflowNode | null} node Of a step.
 * @property {boolean | null} unfolded Of a workflow; null of another operation.
 */

/**
 * Return the rows of the table: the operations in their order, with the steps of unfolded workflows
 * below these.
 *
 * @param {SortKey[]} order
 * @param {Map<string, Operation>} operations
 * @param {Map<string, WorkflowTree>} unfolded By the id of the operation of the workflow.
 * @returns {TableRow[]}
 */
export function tableRows(order, operations, unfolded) {
  /** @type {TableRow[]} */
  const rows = [];
  /** A task may be in several workflows, and has one row. */
  const shown = new Set();
  for (const { id } of order) {
    if (shown.has(id)) continue;
    const tree = unfolded.get(id);
    rows.push({ id, level: 1, node: null, unfolded: isWorkflow(operations.get(id)) ? !!tree : null });
    shown.add(id);
    if (tree) addSteps(tree.root.children, 2);
  }
  return rows;

  /**
   * @param {WorkflowNode[]} nodes
   * @param {number} level
   */
  function addSteps(nodes, level) {
    for (const node of nodes) {
      const isTask = node.kind === "task";
      if (isTask && !shown.has(node.id)) {
        rows.push({ id: node.id, level, node, unfolded: null });
        shown.add(node.id);
      }
      // A block has no row: its parts lie as deep as it does, or deeper where it is inside of one.
      const isOutermost = node.parent?.parent === null;
      addSteps(node.children, isTask || !isOutermost ? level + 1 : level);
    }
  }
}

/** @type {WeakMap<WorkflowNode, { key: string, operation: Operation }>} */
const standIns = new WeakMap();

/**
 * Return a snapshot of a step that has not been heard of; the same one until the step changes.
 *
 * @param {WorkflowNode} node
 * @returns {Operation}
 */
export function standInFor(node) {
  const key = `${node.state} ${node.progress} ${node.type}`;
  const known = standIns.get(node);
  if (known?.key === key) return known.operation;
  const { id, type, state, progress, message } = node;
  const word = ["waiting", "skipped"].includes(state) ? "queued" : state;
  const operation = {
    ...emptyOperation(id, 0),
    operation_type: type,
    state: /** @type {Operation["state"]} */ (word),
    status: state,
    progress,
    message,
    duration: null,
  };
  standIns.set(node, { key, operation });
  return operation;
}
