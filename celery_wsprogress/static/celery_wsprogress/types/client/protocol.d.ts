/**
 * The wire protocol: the types of frames and snapshots, the errors, and the size of commands.
 * Close codes stand in `close_codes.js`, selectors in `selectors.js`.
 *
 * Pure.
 *
 * @typedef {"queued" | "scheduled" | "received" | "running" | "retrying" | "replaced" | "completed" | "error" | "cancelled"} State
 *
 * @typedef {object} Operation The snapshot of an operation.
 * @property {string} operation_id The Celery task id.
 * @property {string} operation_type The task's name.
 * @property {number} started_at Epoch seconds.
 * @property {string} status The last status word; `completed` or `error` from the end on.
 * @property {number} progress 0 to 1.
 * @property {Record<string, unknown>} metadata
 * @property {number} event_count
 * @property {State} state The state of the life cycle.
 * @property {string} message
 * @property {Record<string, unknown>} details
 * @property {number | null} current
 * @property {number | null} total
 * @property {string | null} unit
 * @property {number | null} rate Units a second.
 * @property {number | null} eta Seconds until the end, at that rate.
 * @property {boolean} indeterminate The total is unknown.
 * @property {number | null} queued_at
 * @property {number | null} received_at
 * @property {number | null} finished_at
 * @property {number | null} duration Seconds from start to end.
 * @property {number | null} starts_at While it waits for its time or its next attempt: not before
 *   this time, epoch seconds by the clock of the sidecar.
 * @property {number | null} expires_at While it waits: it does not start any more from then on.
 * @property {number | null} attempt Counted from 1.
 * @property {number | null} max_attempts As its last retry said; null if unknown or unlimited.
 * @property {string | null} worker
 * @property {string | null} queue
 * @property {string | null} parent_id
 * @property {string | null} root_id
 * @property {string | null} group_id
 * @property {string[]} tags
 * @property {string | null} error
 * @property {string | null} error_type
 * @property {boolean} ignored The task raised `Ignore`: `completed`, and `progress` stays where it
 *   was.
 * @property {string} last_event_id
 * @property {string} run
 * @property {string[]} [workflow_ids] Of a step: the workflows that it is in. Only in snapshots that
 *   the sidecar makes.
 * @property {WorkflowCounts & { workflow_id: string }} [workflow] Of the last step of a workflow,
 *   likewise: how far that is.
 *
 * @typedef {object} WorkflowCounts Numbers of the tasks of a workflow; in the `details` of its
 *   operation.
 * @property {number} total
 * @property {number} completed
 * @property {number} failed Failed or cancelled.
 * @property {number} running
 * @property {string} [step] The name of the task that reported last.
 *
 * @typedef {"waiting" | "running" | "completed" | "error" | "cancelled" | "skipped"} StepState The
 *   state of a node of a workflow. What is skipped never runs, because a task before it failed.
 *
 * @typedef {object} TreeNode A task of a workflow, or a chain or a group of its tasks.
 * @property {number} index
 * @property {number | null} parent The index of the node that contains it, or of the task that
 *   started it.
 * @property {"chain" | "group" | "task"} kind
 * @property {StepState} state
 * @property {string} [operation_id] Of a task.
 * @property {string} [operation_type] Of a task: its name.
 * @property {number} [progress] Of a task: 0 to 1.
 * @property {number} [weight] Of a task: what it counts for in the progress of the workflow.
 * @property {string | null} [group_id] Of a group.
 *
 * @typedef {import("./events.js").ProgressEvent} ProgressEvent An event of an operation.
 *
 * @typedef {object} CancelOptions
 * @property {boolean} [terminate] End the process of a task that runs, where the pool can.
 * @property {string} [reason] Why, up to 200 characters; all who watch see it.
 *
 * @typedef {object} CancelReply
 * @property {"accepted" | "ended"} status `accepted` once the workers were told; `ended` if it is
 *   too late.
 * @property {State} [state] Of an operation that has ended.
 *
 * @typedef {Record<string, any>} Frame Anything that the sidecar sends.
 *
 * @typedef {{ operation_type?: string, tag?: string, group_id?: string, root_id?: string, steps_of?: string }} Selector
 *   One of these fields; `operation_type` is a glob, `steps_of` the id of a workflow. Without a
 *   field: every operation.
 */
export type State = "queued" | "scheduled" | "received" | "running" | "retrying" | "replaced" | "completed" | "error" | "cancelled";
export type Operation = {
    /**
     * The Celery task id.
     */
    operation_id: string;
    /**
     * The task's name.
     */
    operation_type: string;
    /**
     * Epoch seconds.
     */
    started_at: number;
    /**
     * The last status word; `completed` or `error` from the end on.
     */
    status: string;
    /**
     * 0 to 1.
     */
    progress: number;
    metadata: Record<string, unknown>;
    event_count: number;
    /**
     * The state of the life cycle.
     */
    state: State;
    message: string;
    details: Record<string, unknown>;
    current: number | null;
    total: number | null;
    unit: string | null;
    /**
     * Units a second.
     */
    rate: number | null;
    /**
     * Seconds until the end, at that rate.
     */
    eta: number | null;
    /**
     * The total is unknown.
     */
    indeterminate: boolean;
    queued_at: number | null;
    received_at: number | null;
    finished_at: number | null;
    /**
     * Seconds from start to end.
     */
    duration: number | null;
    /**
     * While it waits for its time or its next attempt: not before
     * this time, epoch seconds by the clock of the sidecar.
     */
    starts_at: number | null;
    /**
     * While it waits: it does not start any more from then on.
     */
    expires_at: number | null;
    /**
     * Counted from 1.
     */
    attempt: number | null;
    /**
     * As its last retry said; null if unknown or unlimited.
     */
    max_attempts: number | null;
    worker: string | null;
    queue: string | null;
    parent_id: string | null;
    root_id: string | null;
    group_id: string | null;
    tags: string[];
    error: string | null;
    error_type: string | null;
    /**
     * The task raised `Ignore`: `completed`, and `progress` stays where it
     * was.
     */
    ignored: boolean;
    last_event_id: string;
    run: string;
    /**
     * Of a step: the workflows that it is in. Only in snapshots that
     * the sidecar makes.
     */
    workflow_ids?: string[];
    /**
     * Of the last step of a workflow,
     * likewise: how far that is.
     */
    workflow?: WorkflowCounts & {
        workflow_id: string;
    };
};
export type WorkflowCounts = {
    total: number;
    completed: number;
    /**
     * Failed or cancelled.
     */
    failed: number;
    running: number;
    /**
     * The name of the task that reported last.
     */
    step?: string;
};
export type StepState = "waiting" | "running" | "completed" | "error" | "cancelled" | "skipped";
export type TreeNode = {
    index: number;
    /**
     * The index of the node that contains it, or of the task that
     * started it.
     */
    parent: number | null;
    kind: "chain" | "group" | "task";
    state: StepState;
    /**
     * Of a task.
     */
    operation_id?: string;
    /**
     * Of a task: its name.
     */
    operation_type?: string;
    /**
     * Of a task: 0 to 1.
     */
    progress?: number;
    /**
     * Of a task: what it counts for in the progress of the workflow.
     */
    weight?: number;
    /**
     * Of a group.
     */
    group_id?: string | null;
};
export type ProgressEvent = import("./events.js").ProgressEvent;
export type CancelOptions = {
    /**
     * End the process of a task that runs, where the pool can.
     */
    terminate?: boolean;
    /**
     * Why, up to 200 characters; all who watch see it.
     */
    reason?: string;
};
export type CancelReply = {
    /**
     * `accepted` once the workers were told; `ended` if it is
     * too late.
     */
    status: "accepted" | "ended";
    /**
     * Of an operation that has ended.
     */
    state?: State;
};
export type Frame = Record<string, any>;
export type Selector = {
    operation_type?: string;
    tag?: string;
    group_id?: string;
    root_id?: string;
    steps_of?: string;
};
import type { EventOf } from "./events.js";
/**
 * Return the id of the operation that shows a workflow.
 *
 * @param {string} id The id that its caller holds.
 */
export declare function workflowOperationId(id: string): string;
/**
 * Return whether an operation shows a workflow.
 *
 * @param {string} operationId
 */
export declare function isWorkflowOperation(operationId: string): boolean;
/** The sidecar rejected a command. */
export declare class CommandError extends Error {
    code: string;
    name: string;
    /**
     * @param {string} code A word: `forbidden`, `unauthorized`, …
     * @param {string} message
     */
    constructor(code: string, message: string);
}
/** The operation failed or was cancelled. */
export declare class OperationError extends Error {
    errorType: string;
    cancelled: boolean;
    operationId: string;
    name: string;
    /** @param {EventOf<"error">} event */
    constructor(event: EventOf<"error">);
}
/** The connection is closed for good. */
export declare class ConnectionClosed extends Error {
    code: number;
    name: string;
    /**
     * @param {string} why
     * @param {number} [code] The close code.
     */
    constructor(why: string, code?: number);
}
/**
 * Return whether an event is the end of its operation.
 *
 * @param {{ event_type: string }} event
 */
export declare function isEnd(event: {
    event_type: string;
}): boolean;
/** States before the start, as the status words have them. @type {string[]} */
export declare const BEFORE_START: string[];
/**
 * Return whether the current message of an operation waits for its start, or for its time.
 *
 * @param {{ state: State }} operation
 */
export declare function hasNotBegun({ state }: {
    state: State;
}): boolean;
/**
 * Return whether an operation has ended.
 *
 * @param {{ state: State }} operation
 */
export declare function hasEnded({ state }: {
    state: State;
}): boolean;
/**
 * Split ids into lists that fit into a command with a `since` for each id.
 *
 * @param {Iterable<string>} ids
 * @returns {Generator<string[]>}
 */
export declare function chunkIds(ids: Iterable<string>): Generator<string[]>;
