/**
 * When what is shown is brought up to date: once per frame, however much happens in between.
 *
 * Runs in: a page.
 */
/**
 * A function that may be called at any time, and makes the given one run once, in the next frame.
 *
 * @param {() => void} paint
 * @returns {() => void}
 */
export declare function oncePerFrame(paint: () => void): () => void;
