/**
 * The tree of a workflow as the rows that `<celery-progress>` shows: which nodes are unfolded, and
 * how deep each lies.
 *
 * Pure.
 */
import type { WorkflowNode, WorkflowTree } from "../client/workflow_tree.js";
export type StepRow = {
    node: WorkflowNode;
    /**
     * The node of the row that contains it.
     */
    parent: WorkflowNode | null;
    /**
     * Counted from 1.
     */
    level: number;
    /**
     * Its place among the parts of its parent, counted from 1.
     */
    position: number;
    /**
     * The number of these parts.
     */
    size: number;
};
/**
 * @typedef {object} StepRow
 * @property {WorkflowNode} node
 * @property {WorkflowNode | null} parent The node of the row that contains it.
 * @property {number} level Counted from 1.
 * @property {number} position Its place among the parts of its parent, counted from 1.
 * @property {number} size The number of these parts.
 */
/** What the reader has folded and unfolded. */
export declare class Folding {
    #private;
    /**
     * Return whether the parts of a node are shown.
     *
     * @param {WorkflowNode} node
     */
    isUnfolded(node: WorkflowNode): boolean;
    /**
     * @param {WorkflowNode} node
     * @param {boolean} unfolded
     */
    set(node: WorkflowNode, unfolded: boolean): void;
}
/**
 * Return the rows, from the top. What contains everything has no row: the bar stands for it.
 *
 * @param {WorkflowTree} tree
 * @param {Folding} folding
 * @returns {StepRow[]}
 */
export declare function rowsOf(tree: WorkflowTree, folding: Folding): StepRow[];
