/**
 * Where a sidecar is.
 *
 * Runs in: a page, a worker, or Node.
 */

/**
 * The address of a WebSocket; a relative one is relative to the page, as its links are.
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
  // A browser lets it wait for ever; only this machine is an exception.
  const local = /localhost$|^127\.|^\[::1/.test(address.hostname);
  if (location?.protocol === "https:" && address.protocol === "ws:" && !local) {
    throw new TypeError("A page of https: needs wss:");
  }
  address.hash = "";
  return address.href;
}

/**
 * The sidecar that a module came from, also behind a prefix.
 *
 * One that is a part of a bundle, or of no server, came from nowhere: then it is the page's host.
 *
 * @param {string | undefined} module Its `import.meta.url`.
 */
export function sidecarOf(module) {
  const served = /^https?:.*\/(element|react)\.js(\?|#|$)/.test(module ?? "");
  return new URL(served ? "./" : "/", served ? module : globalThis.document?.baseURI);
}
