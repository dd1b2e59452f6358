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
export declare function addressOf(url: string | URL): string;
/**
 * The sidecar that a module came from, also behind a prefix.
 *
 * One that is a part of a bundle, or of no server, came from nowhere: then it is the page's host.
 *
 * @param {string | undefined} module Its `import.meta.url`.
 */
export declare function sidecarOf(module: string | undefined): URL;
