/**
 * When a connection may have died, or may work again, without anybody having said so: the network
 * is back, the machine slept, the page was hidden or put away for a while.
 *
 * Runs in: a page, a worker, or Node, each of which knows some of these.
 */
/**
 * @param {() => void} wake Called when it is time to look after the connection.
 * @param {() => void} sleep Called when the page is put away; an open socket would end it.
 * @returns {() => void} Stop.
 */
export declare function onWakeup(wake: () => void, sleep: () => void): () => void;
