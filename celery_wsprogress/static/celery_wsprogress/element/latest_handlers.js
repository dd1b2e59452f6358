/**
 * The handlers of a component: those of its latest props are called, for the events of an element
 * or of a handle.
 */

/** @import { CeleryProgress as CeleryProgressElement } from "../element.js" */
/** @import { Handlers } from "../client/handle.js" */

/**
 * @type {Record<string, "onProgress" | "onStatus" | "onLog" | "onChunk" | "onResult" | "onCompleted" | "onError">}
 */
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
 * @returns {() => void} Stops the calls.
 */
export function forward(element, latest) {
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

/** @type {(keyof Handlers)[]} */
const NAMES = [...Object.values(HANDLERS), "onChange", "onRefused"];

/**
 * Return handlers that call those of the latest render.
 *
 * @param {() => Handlers} latest
 * @returns {Handlers}
 */
export function handlersOf(latest) {
  const call = (/** @type {keyof Handlers} */ name) => (/** @type {any[]} */ ...said) =>
    /** @type {any} */ (latest())[name]?.(...said);
  return Object.fromEntries(NAMES.map((name) => [name, call(name)]));
}
