/**
 * Operations in React: two hooks and a component.
 *
 *     const { operation, result, error } = useOperation(taskId);
 *
 * `react` is imported by its bare name: the page's bundler or import map says where it is.
 *
 * Runs in: a page. On a server the hooks give what is known there, which is nothing.
 */
import * as React from "react";
import "./element.js";
import type { ReactNode } from "react";
import type { ConnectOptions } from "./client.js";
import type { ConnectionState } from "./types/client/connection.js";
import type { CeleryProgress as CeleryProgressElement } from "./element.js";
import type { Handlers } from "./types/client/handle.js";
import type { Operation, Selector } from "./types/client/protocol.js";
export type HookOptions = ConnectOptions & Handlers & {
    url?: string | URL;
    max_rate?: number;
};
export type OperationView = {
    /**
     * Null where nobody has heard of it.
     */
    operation: Operation | null;
    /**
     * What it gave, once it did.
     */
    result: unknown;
    /**
     * Why it may not be watched, or not any more.
     */
    error: Error | null;
    connection: ConnectionState;
};
export type OperationsView = {
    /**
     * Those that began last come first.
     */
    operations: Operation[];
    /**
     * Those are in it that there were before.
     */
    ready: boolean;
    error: Error | null;
    connection: ConnectionState;
};
export type CeleryProgressProps = {
    taskId?: string;
    groupId?: string;
    url?: string | URL;
    token?: string;
    /**
     * The one it begins with is used to its end.
     */
    getToken?: ConnectOptions["getToken"];
    label?: string;
    className?: string;
    /**
     * For its slots.
     */
    children?: ReactNode;
};
/**
 * Follow one operation.
 *
 * @param {string | null | undefined} id The Celery task id; nothing is followed without one.
 * @param {HookOptions} [options]
 * @returns {OperationView}
 */
export declare function useOperation(id: string | null | undefined, options?: HookOptions): OperationView;
/**
 * Follow every operation, or all of a kind.
 *
 * @param {Selector} [selector]
 * @param {HookOptions & { limit?: number }} [options]
 * @returns {OperationsView}
 */
export declare function useOperations(selector?: Selector, options?: HookOptions & {
    limit?: number;
}): OperationsView;
/**
 * A bar: the element, as a component.
 *
 * @param {CeleryProgressProps & Handlers} props
 */
export declare function CeleryProgress(props: CeleryProgressProps & Handlers): React.ReactElement<{
    ref: (element: CeleryProgressElement | null) => void;
    "task-id": string | undefined;
    "group-id": string | undefined;
    url: string | undefined;
    token: string | undefined;
    label: string | undefined;
    class: string | undefined;
    suppressHydrationWarning: boolean;
}, string | React.JSXElementConstructor<any>>;
