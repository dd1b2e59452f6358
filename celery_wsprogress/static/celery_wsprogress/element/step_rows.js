/**
 * The tree of a workflow as the rows that `<celery-progress>` shows: which nodes are unfolded, and
 * how deep each lies.
 *
 * Pure.
 */

/** @import { WorkflowNode, WorkflowTree } from "../client/workflow_tree.js" */

/** Blocks with more parts are folded until the reader unfolds them. */
const MAX_UNFOLDED = 20;

/**
 * @typedef {object} StepRow
 * @property {WorkflowNode} node
 * @property {WorkflowNode | null} parent The node of the row that contains it.
 * @property {number} level Counted from 1.
 * @property {number} position Its place among the parts of its parent, counted from 1.
 * @property {number} size The number of these parts.
 */

/** What the reader has folded and unfolded. */
export class Folding {
  /** @type {Map<WorkflowNode, boolean>} */
  #chosen = new Map();

  /**
   * Return whether the parts of a node are shown.
   *
   * @param {WorkflowNode} node
   */
  isUnfolded(node) {
    const { children } = node;
    return children.length > 0 && (this.#chosen.get(node) ?? children.length <= MAX_UNFOLDED);
  }

  /**
   * @param {WorkflowNode} node
   * @param {boolean} unfolded
   */
  set(node, unfolded) {
    this.#chosen.set(node, unfolded);
  }
}

/**
 * Return the rows, from the top. What contains everything has no row: the bar stands for it.
 *
 * @param {WorkflowTree} tree
 * @param {Folding} folding
 * @returns {StepRow[]}
 */
export function rowsOf(tree, folding) {
  /** @type {StepRow[]} */
  const rows = [];
  let parts = tree.root.children;
  if (parts.length === 1 && parts[0].kind !== "task") parts = parts[0].children;
  add(parts, null, 1);
  return rows;

  /**
   * @param {WorkflowNode[]} nodes
   * @param {WorkflowNode | null} parent
   * @param {number} level
   */
  function add(nodes, parent, level) {
    nodes.forEach((node, index) => {
      rows.push({ node, parent, level, position: index + 1, size: nodes.length });
      if (folding.isUnfolded(node)) add(node.children, node, level + 1);
    });
  }
}
