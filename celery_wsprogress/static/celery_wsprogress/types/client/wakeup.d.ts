/**
 * Events after which a connection may have died or may work again: the network is back, the
 * machine slept, the page was hidden or in the back/forward cache.
 *
 * Runs in: a page, a worker, or Node, each of which has some of these events.
 */
/**
 * @param {() => void} wake Called when the connection should be checked.
 * @param {() => void} sleep Called when the page may enter the back/forward cache, which an open
 *   socket prevents.
 * @returns {() => void} Stops the calls.
 */
export declare function onWakeup(wake: () => void, sleep: () => void): () => void;
