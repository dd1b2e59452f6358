/**
 * The address of a sidecar. Called by `client.js`, and by the element and the hooks for their
 * default.
 *
 * Runs in: a page, a worker, or Node.
 */

/**
 * Return the address of a WebSocket. A relative one is resolved against the base of the page.
 *
 * @param {string | URL} url
 */
export function addressOf(url) {
  const { document, location } = globalThis;
  const address = new URL(url, document?.baseURI ?? location?.href);
  address.protocol = address.protocol.replace(/^http/, "ws");
  if (address.username || address.password) {
    throw new TypeError("No secrets in an address: pass `token`");
  }
  // A browser never opens it (mixed content); addresses of this machine are exempt.
  const local = /localhost$|^127\.|^\[::1/.test(address.hostname);
  if (location?.protocol === "https:" && address.protocol === "ws:" && !local) {
    throw new TypeError("A page of https: needs wss:");
  }
  address.hash = "";
  return address.href;
}

/**
 * Return the address of the sidecar that served a module, also behind a prefix.
 *
 * For a module in a bundle, or not from a server, it is the host of the page.
 *
 * @param {string | undefined} module Its `import.meta.url`.
 */
export function sidecarOf(module) {
  const served = /^https?:.*\/(element|react)\.js(\?|#|$)/.test(module ?? "");
  return new URL(served ? "./" : "/", served ? module : globalThis.document?.baseURI);
}
