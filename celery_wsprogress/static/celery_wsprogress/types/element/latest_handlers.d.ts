/**
 * The handlers of a component: those of its latest props are called, for the events of an element
 * or of a handle.
 */
import type { CeleryProgress as CeleryProgressElement } from "../element.js";
import type { Handlers } from "../client/handle.js";
/**
 * Call the handlers of the latest props for the element's events.
 *
 * @param {CeleryProgressElement} element
 * @param {() => Handlers} latest
 * @returns {() => void} Stops the calls.
 */
export declare function forward(element: CeleryProgressElement, latest: () => Handlers): () => void;
/**
 * Return handlers that call those of the latest render.
 *
 * @param {() => Handlers} latest
 * @returns {Handlers}
 */
export declare function handlersOf(latest: () => Handlers): Handlers;
