/**
 * Painting once per animation frame, whatever the number of changes.
 *
 * Runs in: a page.
 */

/** Milliseconds after which a page without frames, such as a hidden one, is painted. */
const HIDDEN_PAGE_DELAY = 200;

/**
 * Return a function that schedules one call of the given function in the next frame.
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
