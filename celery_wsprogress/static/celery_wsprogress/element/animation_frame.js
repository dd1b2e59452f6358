/**
 * When what is shown is brought up to date: once per frame, however much happens in between.
 *
 * Runs in: a page.
 */

/** Milliseconds after which a page that has no frames, as one that is hidden, goes on without. */
const HIDDEN_PAGE_DELAY = 200;

/**
 * A function that may be called at any time, and makes the given one run once, in the next frame.
 *
 * @param {() => void} paint
 * @returns {() => void}
 */
export function oncePerFrame(paint) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const run = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    paint();
  };
  return () => {
    if (timer !== undefined) return;
    timer = setTimeout(run, HIDDEN_PAGE_DELAY);
    globalThis.requestAnimationFrame?.(run);
  };
}
