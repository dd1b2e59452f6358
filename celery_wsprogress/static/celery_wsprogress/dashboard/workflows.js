/**
 * The workflows of the dashboard: their trees are fetched to learn their steps, and followed while a
 * row is unfolded.
 *
 * Runs in: a page.
 */

import { workflowOperationId } from "../client/protocol.js";
import { watchSteps } from "../steps.js";
import { isWorkflow, stepCount, workflowIdOf, WorkflowSteps } from "./model/workflow_steps.js";

/** @import { Client } from "../client.js" */
/** @import { Operation } from "../client/protocol.js" */
/** @import { WorkflowTree } from "../client/workflow_tree.js" */
/** @import { Steps } from "../steps.js" */

/** Minimum milliseconds between two fetches. */
const FETCH_INTERVAL = 250;

/** Number of workflows above which those that have no more steps are forgotten. */
const MAX_KNOWN = 10_000;

export class Workflows {
  /** The steps that are known. */
  steps;
  /** The trees of unfolded workflows, by the id of their operation. @type {Map<string, WorkflowTree>} */
  unfolded = new Map();

  #client;
  #operations;
  #hooks;
  /** @type {Map<string, Steps>} */
  #watched = new Map();
  /** The number of steps when the tree was last fetched, by the id of the operation. @type {Map<string, number>} */
  #known = new Map();
  /** Workflows whose trees are to be fetched. @type {Set<string>} */
  #wanted = new Set();
  #fetching = false;

  /**
   * @param {Client} client
   * @param {Map<string, Operation>} operations The snapshots; not changed here.
   * @param {object} hooks
   * @param {(ids: string[]) => void} hooks.onSteps Called with operations that became steps, and
   *   with unfolded workflows of which a step has changed.
   */
  constructor(client, operations, hooks) {
    this.#client = client;
    this.#operations = operations;
    this.#hooks = hooks;
    this.steps = new WorkflowSteps(operations);
  }

  /**
   * Take note of a change of an operation.
   *
   * @param {Operation} operation
   */
  note(operation) {
    const { operation_id: id } = operation;
    if (!isWorkflow(operation) || this.#known.get(id) === stepCount(operation)) return;
    this.#wanted.add(id);
    this.#fetchSoon();
  }

  /**
   * Unfold or fold a workflow.
   *
   * @param {string} id The id of its operation.
   * @param {boolean} unfolded
   */
  toggle(id, unfolded) {
    const workflowId = workflowIdOf(id);
    if (workflowId === null || unfolded === this.#watched.has(id)) return;
    if (!unfolded) {
      this.#watched.get(id)?.close();
      this.#watched.delete(id);
      this.unfolded.delete(id);
      return;
    }
    const steps = watchSteps(this.#client, workflowId);
    this.#watched.set(id, steps);
    this.unfolded.set(id, steps.tree);
    const change = () => {
      this.#learn(workflowId, steps.tree.steps.keys());
      this.#hooks.onSteps([id]);
    };
    steps.observe(change);
    steps.ready.then(change, () => {});
  }

  close() {
    for (const one of this.#watched.values()) one.close();
    this.#watched.clear();
    this.unfolded.clear();
  }

  #fetchSoon() {
    if (this.#fetching) return;
    this.#fetching = true;
    setTimeout(() => this.#fetch(), FETCH_INTERVAL);
  }

  async #fetch() {
    const [id] = this.#wanted;
    this.#wanted.delete(id);
    const operation = this.#operations.get(id);
    const workflowId = workflowIdOf(id);
    try {
      if (operation && workflowId !== null) {
        if (this.#known.size >= MAX_KNOWN) this.#forgetEvicted();
        this.#known.set(id, stepCount(operation));
        const { nodes } = await this.#client.tree(workflowId);
        this.#learn(workflowId, nodes.flatMap((one) => one.operation_id ?? []));
      }
    } catch {
      // Where the trees may not be fetched, steps are rows of their own.
    }
    this.#fetching = false;
    if (this.#wanted.size && !this.#client.error) this.#fetchSoon();
  }

  /**
   * @param {string} workflowId
   * @param {Iterable<string>} ids
   */
  #learn(workflowId, ids) {
    const added = this.steps.add(workflowId, ids);
    if (added.length) this.#hooks.onSteps([...added, workflowOperationId(workflowId)]);
  }

  #forgetEvicted() {
    for (const id of this.#known.keys()) if (!this.#operations.has(id)) this.#known.delete(id);
    this.steps.forgetEvicted();
  }
}
