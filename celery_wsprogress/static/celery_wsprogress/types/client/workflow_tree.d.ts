/**
 * The tasks of a workflow as a tree, with the state and the progress of each node.
 *
 * `steps.js` feeds it with the pages of `get_tree` and with snapshots of tasks. A change costs the
 * depth of the tree. Chains and groups get their state from their parts by the rules of the sidecar
 * (`operations/workflow_nodes.py`).
 *
 * Pure.
 */
import type { Operation, StepState, TreeNode } from "./protocol.js";
/** A node, with what is known of everything below it. */
export declare class WorkflowNode {
    kind: "chain" | "group" | "task";
    id: string;
    type: string;
    groupId: string | null;
    /** @type {WorkflowNode | null} */
    parent: WorkflowNode | null;
    /** @type {WorkflowNode[]} */
    children: WorkflowNode[];
    /** @type {StepState} */
    state: StepState;
    /** Of a task: its own; else the mean of the tasks below it, by weight. */
    progress: number;
    /** The number of tasks in it; of those, the numbers that are over and that did not succeed. */
    total: number;
    ended: number;
    failed: number;
    /** The latest message of a task. */
    message: string;
    /** Numbers of its parts by state. @type {Partial<Record<StepState, number>>} */
    counts: Partial<Record<StepState, number>>;
    /** Sums over the tasks in it: of their weights, and of what is done of these. */
    weight: number;
    done: number;
    /** @param {TreeNode} node */
    constructor({ kind, operation_id: id, operation_type: type, group_id: group }: TreeNode);
    /** Whether it is over. */
    get over(): boolean;
}
export declare class WorkflowTree {
    #private;
    /** Number of tasks, as the sidecar counts them: some may not be known yet. */
    total: number;
    /** What contains everything: a node that stands for the workflow. */
    root: WorkflowNode;
    /** The tasks by operation id. @type {Map<string, WorkflowNode>} */
    steps: Map<string, WorkflowNode>;
    /**
     * Add the nodes of a page, and bring those that are known up to date.
     *
     * @param {{ total: number, nodes: TreeNode[] }} page
     */
    update({ total, nodes }: {
        total: number;
        nodes: TreeNode[];
    }): void;
    /**
     * Take over how a task is.
     *
     * @param {Operation} operation
     * @returns {boolean} Whether it is a task of the workflow.
     */
    report(operation: Operation): boolean;
}
