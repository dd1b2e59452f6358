"use client";
/**
 * Operations in React: two hooks and a component.
 *
 *     const { operation, result, error } = useOperation(taskId);
 *
 * `react` is imported by its bare name: the page's bundler or import map says where it is.
 *
 * Runs in: a page. On a server the hooks give what is known there, which is nothing.
 */

// By its namespace: where React runs on a server only, it has no hooks to import.
import * as React from "react";

import { sidecarOf } from "./client/address.js";
import { connect } from "./client.js";
import "./element.js";
import { selectorFields } from "./client/selectors.js";
import { oncePerFrame } from "./element/animation_frame.js";

/** @import { ReactNode } from "react" */
/** @import { Client, ConnectOptions } from "./client.js" */
/** @import { ConnectionState } from "./client/connection.js" */
/** @import { CeleryProgress as CeleryProgressElement } from "./element.js" */
/** @import { Handlers } from "./client/handle.js" */
/** @import { Operation, Selector } from "./client/protocol.js" */

/**
 * @typedef {ConnectOptions & Handlers & { url?: string | URL, max_rate?: number }} HookOptions
 *   `url` is the sidecar's; where it is not given, it is where this module came from. `max_rate` is
 *   how often a second progress of an operation is told, at the most.
 *
 * @typedef {object} OperationView
 * @property {Operation | null} operation Null where nobody has heard of it.
 * @property {unknown} result What it gave, once it did.
 * @property {Error | null} error Why it may not be watched, or not any more.
 * @property {ConnectionState} connection
 *
 * @typedef {object} OperationsView
 * @property {Operation[]} operations Those that began last come first.
 * @property {boolean} ready Those are in it that there were before.
 * @property {Error | null} error
 * @property {ConnectionState} connection
 *
 * @typedef {object} CeleryProgressProps
 * @property {string} [taskId]
 * @property {string} [groupId]
 * @property {string | URL} [url]
 * @property {string} [token]
 * @property {ConnectOptions["getToken"]} [getToken] The one it begins with is used to its end.
 * @property {string} [label]
 * @property {string} [className]
 * @property {ReactNode} [children] For its slots.
 */

const HERE = import.meta.url;

/** @type {OperationView} */
const NOTHING = Object.freeze({
  operation: null,
  result: undefined,
  error: null,
  connection: "connecting",
});

/** @type {OperationsView} */
const NONE = Object.freeze({
  operations: [],
  ready: false,
  error: null,
  connection: "connecting",
});

/**
 * Follow one operation.
 *
 * @param {string | null | undefined} id The Celery task id; nothing is followed without one.
 * @param {HookOptions} [options]
 * @returns {OperationView}
 */
export function useOperation(id, options = {}) {
  const { max_rate } = options;
  const key = JSON.stringify([id ?? "", max_rate]);
  return useStore(NOTHING, options, key, (client, handlers, show) => {
    if (!id) return;
    const watch = client.watch(id, { ...handlers, max_rate, stay: true });
    const view = () =>
      show({
        operation: watch.operation,
        result: watch.result,
        error: watch.error,
        connection: client.state,
      });
    watch.observe(view);
    client.observe(view);
  });
}

/**
 * Follow every operation, or all of a kind.
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
    // A view is made of all of them: at most once for each that is painted.
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
 * A bar: the element, as a component.
 *
 * @param {CeleryProgressProps & Handlers} props
 */
export function CeleryProgress(props) {
  const { taskId, groupId, url, token, label, className, children } = props;
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
      "group-id": groupId,
      url: url?.toString(),
      token,
      label,
      class: className,
      // The element may have set attributes on itself before React takes the page over.
      suppressHydrationWarning: true,
    },
    children,
  );
}

/** @type {Record<string, "onProgress" | "onStatus" | "onLog" | "onChunk" | "onResult" | "onCompleted" | "onError">} */
const HANDLERS = {
  "celery-progress": "onProgress",
  "celery-status": "onStatus",
  "celery-log": "onLog",
  "celery-chunk": "onChunk",
  "celery-result": "onResult",
  "celery-completed": "onCompleted",
  "celery-error": "onError",
};

/**
 * Call the handlers of the latest props for the element's events.
 *
 * @param {CeleryProgressElement} element
 * @param {() => Handlers} latest
 * @returns {() => void} Stop.
 */
function forward(element, latest) {
  const stop = new AbortController();
  const listen = (/** @type {string} */ name, /** @type {(detail: any) => void} */ call) =>
    element.addEventListener(name, (event) => call(/** @type {CustomEvent} */ (event).detail), {
      signal: stop.signal,
    });
  for (const [name, handler] of Object.entries(HANDLERS)) {
    listen(name, ({ event, operation, replayed }) =>
      latest()[handler]?.(event, operation, replayed),
    );
  }
  listen("celery-change", ({ event, operation, replayed }) =>
    latest().onChange?.(operation, event, replayed),
  );
  listen("celery-refused", ({ error }) => latest().onRefused?.(error));
  return () => stop.abort();
}

/**
 * What all hooks do: open a client while somebody looks, and show the latest view of it.
 *
 * @template View
 * @param {View} nothing What is shown before there is something.
 * @param {HookOptions} options
 * @param {string} key What is followed: another one is another story.
 * @param {(client: Client, handlers: Handlers, show: (view: View) => void) => void} follow
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
        begin(client, handlersOf(() => latest.current.options), (next) => {
          view = next;
          listener();
        });
        return () => client.close();
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

/** @type {(keyof Handlers)[]} */
const NAMES = [...Object.values(HANDLERS), "onChange", "onRefused"];

/**
 * Handlers that call those of the latest render.
 *
 * @param {() => Handlers} latest
 * @returns {Handlers}
 */
function handlersOf(latest) {
  const call = (/** @type {keyof Handlers} */ name) => (/** @type {any[]} */ ...said) =>
    /** @type {any} */ (latest())[name]?.(...said);
  return Object.fromEntries(NAMES.map((name) => [name, call(name)]));
}
