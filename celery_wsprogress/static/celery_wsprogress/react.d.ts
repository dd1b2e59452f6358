/**
 * Operations in React: three hooks and a component.
 *
 *     const { operation, result, error } = useOperation(taskId);
 *     const { operation: whole } = useOperation({ workflow: workflowId });
 *     const { text, closed } = useStream(taskId, "answer");
 *
 * `react` is imported by its bare name: the bundler or the import map of the page resolves it.
 *
 * Runs in: a page. On a server the hooks return empty views.
 */
import * as React from "react";
import "./element.js";
import type { ReactNode } from "react";
import type { ConnectOptions } from "./client.js";
import type { ConnectionState } from "./types/client/connection.js";
import type { CeleryProgress as CeleryProgressElement } from "./element.js";
import type { Handlers } from "./types/client/handle.js";
import type { CancelOptions, CancelReply, Operation, Selector } from "./types/client/protocol.js";
export type HookOptions = ConnectOptions & Handlers & {
    url?: string | URL;
    max_rate?: number;
};
export type OperationView = {
    /**
     * Null if it is unknown.
     */
    operation: Operation | null;
    /**
     * The result, once it is known.
     */
    result: unknown;
    /**
     * The reason why the watch was rejected.
     */
    error: Error | null;
    connection: ConnectionState;
    /**
     * Seconds until it starts, or starts again, as they pass; null if
     * it does not wait for a time.
     */
    startsIn: number | null;
    /**
     * Asks for the operation to be
     * cancelled.
     */
    cancel: (options?: CancelOptions) => Promise<CancelReply>;
};
export type OperationsView = {
    /**
     * The newest first.
     */
    operations: Operation[];
    /**
     * Whether the existing operations are loaded.
     */
    ready: boolean;
    error: Error | null;
    connection: ConnectionState;
};
export type StreamView = {
    /**
     * The text so far; `…` stands where chunks are missing.
     */
    text: string;
    /**
     * The chunks so far: pieces of text, or other values.
     */
    chunks: unknown[];
    /**
     * Whether no more follows.
     */
    closed: boolean;
    /**
     * Whether chunks are missing.
     */
    missing: boolean;
    /**
     * The reason why the watch was rejected.
     */
    error: Error | null;
    connection: ConnectionState;
};
export type CeleryProgressProps = {
    taskId?: string;
    workflowId?: string;
    /**
     * Whether the steps of the workflow are unfolded at first.
     */
    expanded?: boolean;
    groupId?: string;
    url?: string | URL;
    token?: string;
    /**
     * The first one is used; later ones are ignored.
     */
    getToken?: ConnectOptions["getToken"];
    label?: string;
    className?: string;
    /**
     * Show a button that cancels the task.
     */
    cancellable?: boolean;
    /**
     * The name of a stream whose text is shown.
     */
    stream?: string;
    /**
     * For its slots.
     */
    children?: ReactNode;
};
/**
 * Follow one operation, or a workflow as one.
 *
 * @param {string | { workflow: string | null | undefined } | null | undefined} followed The Celery
 *   task id; or the id of a chain, a group or a chord that its caller holds. Without an id nothing
 *   is followed.
 * @param {HookOptions} [options]
 * @returns {OperationView}
 */
export declare function useOperation(followed: string | {
    workflow: string | null | undefined;
} | null | undefined, options?: HookOptions): OperationView;
/**
 * Follow every operation, or those of a selector.
 *
 * @param {Selector} [selector]
 * @param {HookOptions & { limit?: number }} [options]
 * @returns {OperationsView}
 */
export declare function useOperations(selector?: Selector, options?: HookOptions & {
    limit?: number;
}): OperationsView;
/**
 * Follow a stream of a task: a partial result, while it is written.
 *
 * @param {string | null | undefined} id The Celery task id. Without one nothing is followed.
 * @param {string} name The name of the stream.
 * @param {HookOptions} [options]
 * @returns {StreamView} Of the current run; another attempt begins anew.
 */
export declare function useStream(id: string | null | undefined, name: string, options?: HookOptions): StreamView;
/**
 * The element as a component.
 *
 * @param {CeleryProgressProps & Handlers} props
 */
export declare function CeleryProgress(props: CeleryProgressProps & Handlers): React.ReactElement<{
    ref: (element: CeleryProgressElement | null) => void;
    "task-id": string | undefined;
    "workflow-id": string | undefined;
    "group-id": string | undefined;
    expanded: string | undefined;
    url: string | undefined;
    token: string | undefined;
    label: string | undefined;
    class: string | undefined;
    cancellable: string | undefined;
    stream: string | undefined;
    suppressHydrationWarning: boolean;
}, string | React.JSXElementConstructor<any>>;

// The part that JSDoc cannot say; see `tests/static/additions`.

/** The attributes of `<celery-progress>` in JSX. */
export interface CeleryProgressAttributes {
    "task-id"?: string;
    "task-ids"?: string;
    "workflow-id"?: string;
    "group-id"?: string;
    url?: string;
    label?: string;
    token?: string;
    "token-url"?: string;
    stream?: string;
    expanded?: boolean | "";
    cancellable?: boolean | "";
    "no-result"?: boolean | "";
    "no-error-detail"?: boolean | "";
    class?: string;
}

declare module "react" {
    namespace JSX {
        interface IntrinsicElements {
            "celery-progress": React.DetailedHTMLProps<React.HTMLAttributes<CeleryProgressElement>, CeleryProgressElement> & CeleryProgressAttributes;
        }
    }
}
