/**
 * When a connection may have died, or may work again, without anybody having said so: the network
 * is back, the machine slept, the page was hidden or put away for a while.
 *
 * Runs in: a page, a worker, or Node, each of which knows some of these.
 */

/** Seconds between looks at the clock. */
const CHECK_INTERVAL = 2;

/** Seconds that a look may come late on a machine that is awake. */
const SLEEP_THRESHOLD = 5;

/**
 * @param {() => void} wake Called when it is time to look after the connection.
 * @param {() => void} sleep Called when the page is put away; an open socket would end it.
 * @returns {() => void} Stop.
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
