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
export declare function addressOf(url: string | URL): string;
/**
 * Return the address of the sidecar that served a module, also behind a prefix.
 *
 * For a module in a bundle, or not from a server, it is the host of the page.
 *
 * @param {string | undefined} module Its `import.meta.url`.
 */
export declare function sidecarOf(module: string | undefined): URL;
