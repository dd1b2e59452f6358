/**
 * Painting once per animation frame, whatever the number of changes.
 *
 * Runs in: a page.
 */
/**
 * Return a function that schedules one call of the given function in the next frame.
 *
 * @param {() => void} paint
 * @returns {() => void}
 */
export declare function oncePerFrame(paint: () => void): () => void;
