/**
 * Safe calls of the callbacks that a page passes in: observers and event handlers.
 *
 * Runs in: a page, a worker, or Node.
 */
/**
 * Call a function of the page. An error in it is reported as uncaught and stops nothing here.
 *
 * @param {() => void} callback
 */
export declare function callSafely(callback: () => void): void;
