/**
 * The tasks of a workflow as a tree, with the state and the progress of each node.
 *
 * `steps.js` feeds it with the pages of `get_tree` and with snapshots of tasks. A change costs the
 * depth of the tree. Chains and groups get their state from their parts by the rules of the sidecar
 * (`operations/workflow_nodes.py`).
 *
 * Pure.
 */

/** @import { Operation, StepState, TreeNode } from "./protocol.js" */

/** States of a node that is over. @type {StepState[]} */
const OVER = ["completed", "error", "cancelled", "skipped"];

/** @type {Record<string, StepState>} */
const STATES = {
  running: "running",
  retrying: "running",
  replaced: "running",
  completed: "completed",
  error: "error",
  cancelled: "cancelled",
};

/** A node, with what is known of everything below it. */
export class WorkflowNode {
  /** @type {WorkflowNode | null} */
  parent = null;
  /** @type {WorkflowNode[]} */
  children = [];
  /** @type {StepState} */
  state = "waiting";
  /** Of a task: its own; else the mean of the tasks below it, by weight. */
  progress = 0;
  /** The number of tasks in it; of those, the numbers that are over and that did not succeed. */
  total = 0;
  ended = 0;
  failed = 0;
  /** The latest message of a task. */
  message = "";

  /** Numbers of its parts by state. @type {Partial<Record<StepState, number>>} */
  counts = {};
  /** Sums over the tasks in it: of their weights, and of what is done of these. */
  weight = 0;
  done = 0;

  /** @param {TreeNode} node */
  constructor({ kind, operation_id: id = "", operation_type: type = "", group_id: group = null }) {
    this.kind = kind;
    this.id = id;
    this.type = type;
    this.groupId = group;
  }

  /** Whether it is over. */
  get over() {
    return OVER.includes(this.state);
  }
}

export class WorkflowTree {
  /** Number of tasks, as the sidecar counts them: some may not be known yet. */
  total = 0;

  /** What contains everything: a node that stands for the workflow. */
  root = new WorkflowNode({ index: -1, parent: null, kind: "group", state: "waiting" });

  /** The tasks by operation id. @type {Map<string, WorkflowNode>} */
  steps = new Map();

  /** The nodes by the index of the latest pages. @type {WorkflowNode[]} */
  #nodes = [];

  /**
   * Add the nodes of a page, and bring those that are known up to date.
   *
   * @param {{ total: number, nodes: TreeNode[] }} page
   */
  update({ total, nodes }) {
    this.total = total;
    for (const node of nodes) this.#add(node);
    // How many members of groups nobody has named yet may have changed.
    for (const node of this.#nodes) if (node.kind === "group") this.#settle(node);
    this.#settle(this.root);
  }

  /** @param {TreeNode} node */
  #add(node) {
    const { index, kind, operation_id: id = "", state, progress = 0, weight = 1 } = node;
    const before = this.#nodes[index];
    const known = kind === "task" ? this.steps.get(id) : before?.kind === kind ? before : undefined;
    const one = known ?? new WorkflowNode(node);
    this.#nodes[index] = one;
    const parent = this.#nodes[node.parent ?? -1] ?? this.root;
    if (kind === "task") {
      this.steps.set(id, one);
      if (one.type === "") one.type = node.operation_type ?? "";
    }
    if (one.parent !== parent) this.#move(one, parent, kind === "task" ? weight : 0);
    if (kind !== "task") return;
    // A page may be older than an event that came before it.
    if (OVER.includes(state) || !one.over) this.#change(one, state, Math.max(progress, one.progress));
  }

  /**
   * Take over how a task is.
   *
   * @param {Operation} operation
   * @returns {boolean} Whether it is a task of the workflow.
   */
  report(operation) {
    const one = this.steps.get(operation.operation_id);
    if (!one) return false;
    const { operation_type: type, error, message } = operation;
    if (type) one.type = type;
    one.message = error ?? message;
    // What has completed stays so, though Celery may run it again.
    if (one.state === "completed") return true;
    const state = stateOf(operation, one);
    const progress = state === "completed" ? 1 : operation.progress;
    this.#change(one, state, Math.max(progress, one.progress));
    return true;
  }

  /**
   * @param {WorkflowNode} one
   * @param {WorkflowNode} parent
   * @param {number} weight
   */
  #move(one, parent, weight) {
    if (one.parent) {
      one.parent.children.splice(one.parent.children.indexOf(one), 1);
      this.#count(one, -1, -weight);
    }
    one.parent = parent;
    parent.children.push(one);
    this.#count(one, 1, weight);
  }

  /**
   * Count a node in those around it, or no longer.
   *
   * @param {WorkflowNode} one
   * @param {1 | -1} sign
   * @param {number} weight Of a task; else 0.
   */
  #count(one, sign, weight) {
    const isTask = one.kind === "task";
    if (isTask) one.weight = Math.abs(weight);
    for (let around = one.parent; around; around = around.parent) {
      around.total += sign * (one.total + Number(isTask));
      around.ended += sign * (one.ended + Number(isTask && one.over));
      around.failed += sign * (one.failed + Number(isTask && hasFailed(one)));
      if (around.kind === "task") continue;
      around.weight += isTask ? weight : sign * one.weight;
      around.done += sign * (isTask ? one.weight * one.progress : one.done);
      around.progress = around.weight ? Math.min(1, around.done / around.weight) : 0;
    }
    const { parent } = one;
    if (!parent || parent.kind === "task") return;
    parent.counts[one.state] = (parent.counts[one.state] ?? 0) + sign;
    this.#settle(parent);
  }

  /**
   * @param {WorkflowNode} one A task.
   * @param {StepState} state
   * @param {number} progress
   */
  #change(one, state, progress) {
    const ended = Number(OVER.includes(state)) - Number(one.over);
    const failed = Number(state === "error" || state === "cancelled") - Number(hasFailed(one));
    const done = one.weight * (progress - one.progress);
    one.progress = progress;
    for (let around = one.parent; around; around = around.parent) {
      around.ended += ended;
      around.failed += failed;
      if (around.kind === "task") continue;
      around.done += done;
      around.progress = around.weight ? Math.min(1, around.done / around.weight) : 0;
    }
    this.#setState(one, state);
  }

  /**
   * Set the state of a node, and of the chains and groups around it as far as it matters.
   *
   * @param {WorkflowNode} one
   * @param {StepState} state
   */
  #setState(one, state) {
    const { parent, state: before } = one;
    if (state === before) return;
    one.state = state;
    if (!parent || parent.kind === "task") return;
    parent.counts[before] = (parent.counts[before] ?? 0) - 1;
    parent.counts[state] = (parent.counts[state] ?? 0) + 1;
    this.#settle(parent);
  }

  /** @param {WorkflowNode} block */
  #settle(block) {
    this.#setState(block, this.#resolve(block));
  }

  /**
   * Return the state of a chain or a group, from the states of its parts.
   *
   * @param {WorkflowNode} block
   * @returns {StepState}
   */
  #resolve({ kind, children, counts, state }) {
    const { completed = 0, error = 0, cancelled = 0, waiting = 0, skipped = 0 } = counts;
    const failed = error + cancelled;
    const size = children.length;
    if (kind === "chain" && children.at(-1)?.state === "completed") return "completed";
    // Members of a group that nobody has named may still come.
    const unlisted = Math.max(0, this.total - this.steps.size);
    const over = kind === "chain" ? failed > 0 : completed + failed === size + unlisted;
    if (over && size) return error ? "error" : cancelled ? "cancelled" : "completed";
    if (skipped === size && size) return "skipped";
    return waiting + skipped === size ? "waiting" : "running";
  }
}

/** @param {WorkflowNode} node */
function hasFailed({ state }) {
  return state === "error" || state === "cancelled";
}

/**
 * Return the state of the task of an operation.
 *
 * @param {Operation} operation
 * @param {WorkflowNode} before
 * @returns {StepState}
 */
function stateOf(operation, before) {
  const { state, queued_at: queued, received_at: received } = operation;
  // Nobody has sent it: a task before it failed.
  const sent = queued !== null || received !== null || before.state === "running";
  if (state === "error" && !sent) return "skipped";
  return STATES[state] ?? "waiting";
}
