"use client";
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

// As a namespace: React for server components exports no hooks, so named imports would fail.
import * as React from "react";

import { sidecarOf } from "./client/address.js";
import { connect } from "./client.js";
import "./element.js";
import { hasEnded } from "./client/protocol.js";
import { selectorFields } from "./client/selectors.js";
import { StreamText } from "./client/stream_text.js";
import { Countdown, secondsToStart } from "./element/countdown.js";
import { oncePerFrame } from "./element/animation_frame.js";
import { forward, handlersOf } from "./element/latest_handlers.js";

/** @import { ReactNode } from "react" */
/** @import { Client, ConnectOptions } from "./client.js" */
/** @import { ConnectionState } from "./client/connection.js" */
/** @import { CeleryProgress as CeleryProgressElement } from "./element.js" */
/** @import { Handlers } from "./client/handle.js" */
/** @import { CancelOptions, CancelReply, Operation, Selector } from "./client/protocol.js" */

/**
 * @typedef {ConnectOptions & Handlers & { url?: string | URL, max_rate?: number }} HookOptions
 *   `url` is that of the sidecar, by default the one that served this module. `max_rate` is the
 *   maximum number of progress events per second and operation.
 *
 * @typedef {object} OperationView
 * @property {Operation | null} operation Null if it is unknown.
 * @property {unknown} result The result, once it is known.
 * @property {Error | null} error The reason why the watch was rejected.
 * @property {ConnectionState} connection
 * @property {number | null} startsIn Seconds until it starts, or starts again, as they pass; null if
 *   it does not wait for a time.
 * @property {(options?: CancelOptions) => Promise<CancelReply>} cancel Asks for the operation to be
 *   cancelled.
 *
 * @typedef {object} OperationsView
 * @property {Operation[]} operations The newest first.
 * @property {boolean} ready Whether the existing operations are loaded.
 * @property {Error | null} error
 * @property {ConnectionState} connection
 *
 * @typedef {object} StreamView
 * @property {string} text The text so far; `…` stands where chunks are missing.
 * @property {unknown[]} chunks The chunks so far: pieces of text, or other values.
 * @property {boolean} closed Whether no more follows.
 * @property {boolean} missing Whether chunks are missing.
 * @property {Error | null} error The reason why the watch was rejected.
 * @property {ConnectionState} connection
 *
 * @typedef {object} CeleryProgressProps
 * @property {string} [taskId]
 * @property {string} [workflowId]
 * @property {boolean} [expanded] Whether the steps of the workflow are unfolded at first.
 * @property {string} [groupId]
 * @property {string | URL} [url]
 * @property {string} [token]
 * @property {ConnectOptions["getToken"]} [getToken] The first one is used; later ones are ignored.
 * @property {string} [label]
 * @property {string} [className]
 * @property {boolean} [cancellable] Show a button that cancels the task.
 * @property {string} [stream] The name of a stream whose text is shown.
 * @property {ReactNode} [children] For its slots.
 */

const HERE = import.meta.url;

/** @type {OperationView} */
const NOTHING = Object.freeze({
  operation: null,
  result: undefined,
  error: null,
  connection: "connecting",
  startsIn: null,
  cancel: () => Promise.reject(new Error("nothing is followed yet")),
});

/** @type {OperationsView} */
const NONE = Object.freeze({
  operations: [],
  ready: false,
  error: null,
  connection: "connecting",
});

/** @type {StreamView} */
const SILENCE = Object.freeze({
  text: "",
  chunks: [],
  closed: false,
  missing: false,
  error: null,
  connection: "connecting",
});

/**
 * Follow one operation, or a workflow as one.
 *
 * @param {string | { workflow: string | null | undefined } | null | undefined} followed The Celery
 *   task id; or the id of a chain, a group or a chord that its caller holds. Without an id nothing
 *   is followed.
 * @param {HookOptions} [options]
 * @returns {OperationView}
 */
export function useOperation(followed, options = {}) {
  const { max_rate } = options;
  const workflow = typeof followed === "object" && followed !== null;
  const id = workflow ? followed.workflow : followed;
  const key = JSON.stringify([id ?? "", workflow, max_rate]);
  return useStore(NOTHING, options, key, (client, handlers, show) => {
    if (!id) return;
    const watch = client.watch(id, { ...handlers, max_rate, stay: true, workflow });
    const cancel = (/** @type {CancelOptions} */ how = {}) => client.cancel(watch.id, how);
    const view = () => {
      const { operation, result, error } = watch;
      const { now, state: connection } = client;
      const startsIn = secondsToStart(operation, now);
      show({ operation, result, error, connection, startsIn, cancel });
      countdown.update(client.error ? null : operation, now);
    };
    const countdown = new Countdown(view);
    watch.observe(view);
    client.observe(view);
    return () => countdown.stop();
  });
}

/**
 * Follow every operation, or those of a selector.
 *
 * @param {Selector} [selector]
 * @param {HookOptions & { limit?: number }} [options]
 * @returns {OperationsView}
 */
export function useOperations(selector = {}, options = {}) {
  const { limit, max_rate } = options;
  const key = JSON.stringify([selectorFields(selector), limit, max_rate]);
  return useStore(NONE, options, key, (client, handlers, show) => {
    const monitor = client.monitor(selector, { ...handlers, limit, max_rate });
    let ready = false;
    // Each view copies all operations: make at most one per frame.
    const view = oncePerFrame(() =>
      show({
        operations: [...monitor.operations.values()].sort(newestFirst),
        ready,
        error: monitor.error,
        connection: client.state,
      }),
    );
    monitor.ready.then(
      () => {
        ready = true;
        view();
      },
      () => {},
    );
    monitor.observe(view);
    client.observe(view);
  });
}

/**
 * Follow a stream of a task: a partial result, while it is written.
 *
 * @param {string | null | undefined} id The Celery task id. Without one nothing is followed.
 * @param {string} name The name of the stream.
 * @param {HookOptions} [options]
 * @returns {StreamView} Of the current run; another attempt begins anew.
 */
export function useStream(id, name, options = {}) {
  const { max_rate } = options;
  const key = JSON.stringify([id ?? "", name, max_rate]);
  return useStore(SILENCE, options, key, (client, handlers, show) => {
    if (!id) return;
    const stream = new StreamText(name);
    const onChunk = (/** @type {Parameters<NonNullable<Handlers["onChunk"]>>} */ ...said) => {
      stream.add(said[0]);
      handlers.onChunk?.(...said);
    };
    const watch = client.watch(id, { ...handlers, onChunk, max_rate, stay: true });
    // Each view copies all chunks: make at most one per frame.
    const view = oncePerFrame(() => {
      const { text, chunks, missing } = stream;
      const closed = stream.closed || (watch.operation !== null && hasEnded(watch.operation));
      const { error } = watch;
      show({ text, chunks: [...chunks], closed, missing, error, connection: client.state });
    });
    watch.observe(view);
    client.observe(view);
  });
}

/**
 * The element as a component.
 *
 * @param {CeleryProgressProps & Handlers} props
 */
export function CeleryProgress(props) {
  const { taskId, workflowId, groupId, expanded, url, token, label, className } = props;
  const { cancellable, stream, children } = props;
  const latest = React.useRef(props);
  React.useEffect(() => {
    latest.current = props;
  });
  const attach = React.useMemo(() => {
    let stop = () => {};
    return (/** @type {CeleryProgressElement | null} */ element) => {
      stop();
      if (!element) return;
      stop = forward(element, () => latest.current);
      element.getToken = latest.current.getToken;
    };
  }, []);
  return React.createElement(
    "celery-progress",
    {
      ref: attach,
      "task-id": taskId,
      "workflow-id": workflowId,
      "group-id": groupId,
      expanded: expanded ? "" : undefined,
      url: url?.toString(),
      token,
      label,
      class: className,
      cancellable: cancellable ? "" : undefined,
      stream,
      // The element may have set attributes on itself before React takes the page over.
      suppressHydrationWarning: true,
    },
    children,
  );
}

/**
 * Connect a client while the component is mounted, and return its latest view.
 *
 * @template View
 * @param {View} nothing The view before the first change.
 * @param {HookOptions} options
 * @param {string} key What is followed; another key makes another client.
 * @param {(client: Client, handlers: Handlers, show: (view: View) => void) => (() => void) | void} follow
 *   May return a function that is called in the end.
 * @returns {View}
 */
function useStore(nothing, options, key, follow) {
  const latest = React.useRef({ options, follow });
  React.useEffect(() => {
    latest.current = { options, follow };
  });
  const { token } = options;
  const url = options.url?.toString();
  const store = React.useMemo(() => {
    let view = nothing;
    return {
      get: () => view,
      subscribe(/** @type {() => void} */ listener) {
        const { options: now, follow: begin } = latest.current;
        const { getToken, WebSocket } = now;
        const client = connect(url ?? sidecarOf(HERE), { token, getToken, WebSocket });
        const end = begin(client, handlersOf(() => latest.current.options), (next) => {
          view = next;
          listener();
        });
        return () => {
          client.close();
          end?.();
        };
      },
    };
  }, [url, token, key]);
  return React.useSyncExternalStore(store.subscribe, store.get, () => nothing);
}

/**
 * @param {Operation} one
 * @param {Operation} other
 */
function newestFirst(one, other) {
  return other.started_at - one.started_at;
}
