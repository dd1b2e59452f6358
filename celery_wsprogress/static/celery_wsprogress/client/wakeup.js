/**
 * Events after which a connection may have died or may work again: the network is back, the
 * machine slept, the page was hidden or in the back/forward cache.
 *
 * Runs in: a page, a worker, or Node, each of which has some of these events.
 */

/** Seconds between two checks of the clock. */
const CHECK_INTERVAL = 2;

/** Seconds by which a check may be late on a machine that is awake. */
const SLEEP_THRESHOLD = 5;

/**
 * @param {() => void} wake Called when the connection should be checked.
 * @param {() => void} sleep Called when the page may enter the back/forward cache, which an open
 *   socket prevents.
 * @returns {() => void} Stops the calls.
 */
export function onWakeup(wake, sleep) {
  const { document } = globalThis;
  const stop = new AbortController();
  const { signal } = stop;
  /** @type {(target: EventTarget | undefined, name: string, call: () => void) => void} */
  const on = (target, name, call) => target?.addEventListener?.(name, call, { signal });
  on(globalThis, "online", wake);
  on(globalThis, "pageshow", wake);
  on(globalThis, "pagehide", sleep);
  on(document, "resume", wake);
  on(document, "visibilitychange", () => document.visibilityState === "visible" && wake());
  let last = Date.now();
  const timer = setInterval(() => {
    const slept = Date.now() - last > (CHECK_INTERVAL + SLEEP_THRESHOLD) * 1000;
    last = Date.now();
    if (slept) wake();
  }, CHECK_INTERVAL * 1000);
  return () => {
    stop.abort();
    clearInterval(timer);
  };
}
