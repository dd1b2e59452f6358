/**
 * The visible rows of a long list with rows of equal height.
 *
 * Pure.
 */

/** Rows beyond each edge that are rendered, for scrolling. */
const MARGIN = 4;

/**
 * @typedef {object} View
 * @property {number} top The scroll position.
 * @property {number} height The visible height.
 * @property {number} row The height of a row.
 */

/**
 * Return the rows to render, from the first up to but not including the last.
 *
 * @param {View} view
 * @param {number} count The number of rows.
 * @returns {{ first: number, last: number }}
 */
export function visibleRange({ top, height, row }, count) {
  const first = Math.max(0, Math.min(Math.floor(top / row), count) - MARGIN);
  const last = Math.min(count, Math.max(0, Math.ceil((top + height) / row)) + MARGIN);
  return { first: Math.min(first, last), last };
}

/**
 * Return the scroll position that reveals a row with the least scrolling.
 *
 * @param {View} view
 * @param {number} index
 */
export function scrollToReveal({ top, height, row }, index) {
  const [start, end] = [index * row, (index + 1) * row];
  if (start < top) return start;
  return end > top + height ? end - height : top;
}

/**
 * Return the scroll position that keeps the top row in place when rows before it come and go. At
 * the top of the list new rows are shown.
 *
 * @param {View} view
 * @param {number} before The index of that row before.
 * @param {number} after Its index now.
 */
export function keepAnchor({ top, row }, before, after) {
  return top < row ? top : Math.max(0, top + (after - before) * row);
}

/**
 * Return the row that a navigation key leads to; null for any other key.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 * @param {View} view
 */
export function indexForKey(key, index, count, { height, row }) {
  const page = Math.max(1, Math.floor(height / row) - 1);
  /** @type {Record<string, number>} */
  const leads = {
    ArrowDown: index + 1,
    ArrowUp: index - 1,
    PageDown: index + page,
    PageUp: index - page,
    Home: 0,
    End: count - 1,
  };
  if (!(key in leads) || !count) return null;
  return Math.min(Math.max(leads[key], 0), count - 1);
}
