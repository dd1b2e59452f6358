/**
 * The steps of a workflow, live: a tree whose nodes follow their tasks.
 *
 *     const steps = watchSteps(connect("ws://localhost:8765"), workflowId);
 *     steps.observe(() => show(steps.tree.root));
 *
 * Runs in: a page, a worker, or Node.
 */
import { WorkflowTree } from "./types/client/workflow_tree.js";
import type { Client } from "./client.js";
import type { Operation } from "./types/client/protocol.js";
/** @import { Client } from "./client.js" */
/** @import { Monitor, Watch } from "./types/client/handles.js" */
/** @import { Operation } from "./types/client/protocol.js" */
export { WorkflowNode, WorkflowTree } from "./types/client/workflow_tree.js";
export type StepsOptions = {
    /**
     * Maximum number of progress events per second and task, 0.01 or more.
     */
    max_rate?: number;
    /**
     * Called for each change of a task.
     */
    onStep?: (operation: Operation) => void;
};
/**
 * @typedef {object} StepsOptions
 * @property {number} [max_rate] Maximum number of progress events per second and task, 0.01 or more.
 * @property {(operation: Operation) => void} [onStep] Called for each change of a task.
 */
/**
 * Watch the steps of a workflow.
 *
 * @param {Client} client Its token must grant the tasks: the workflow's id alone grants the bar.
 * @param {string} id The id that the caller holds.
 * @param {StepsOptions} [options]
 * @returns {Steps}
 */
export declare function watchSteps(client: Client, id: string, options?: StepsOptions): Steps;
/** The handle of the steps of one workflow. */
export declare class Steps {
    #private;
    tree: WorkflowTree;
    /** The reason why the steps may not be watched. @type {Error | null} */
    error: Error | null;
    closed: boolean;
    /** Resolves when the tree is known; rejects when it may not be watched. @type {Promise<void>} */
    ready: Promise<void>;
    /**
     * @param {Client} client
     * @param {string} id
     * @param {StepsOptions} options
     */
    constructor(client: Client, id: string, { max_rate, ...options }: StepsOptions);
    /**
     * Call a function after each change. It is called often: draw once per frame.
     *
     * @param {() => void} observer
     * @returns {() => void} Stops the calls.
     */
    observe(observer: () => void): () => void;
    /** Stop watching. */
    close(): void;
}
