/**
 * Promises that are settled from outside, as `Promise.withResolvers()` makes them (Chrome 119,
 * Firefox 121, Safari 17.4), for browsers without it.
 *
 * Pure.
 */

/**
 * @typedef {object} Deferred A promise with its functions.
 * @property {Promise<any>} promise
 * @property {(value?: any) => void} resolve
 * @property {(error: unknown) => void} reject
 */

/**
 * Return a promise with its functions. A rejection that nobody awaits is not reported as uncaught.
 *
 * @returns {Deferred}
 */
export function withResolvers() {
  /** @type {any} */
  const functions = {};
  const promise = new Promise((resolve, reject) => Object.assign(functions, { resolve, reject }));
  promise.catch(() => {});
  return { promise, ...functions };
}
