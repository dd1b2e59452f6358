/**
 * Which rows of a long list are in sight. All rows are equally high.
 *
 * Pure.
 */

/** Rows beyond each edge that are there already, for those who scroll. */
const MARGIN = 4;

/**
 * @typedef {object} View
 * @property {number} top How far it is scrolled.
 * @property {number} height Of what is seen.
 * @property {number} row The height of a row.
 */

/**
 * The rows to have: from the first, up to but not including the last.
 *
 * @param {View} view
 * @param {number} count All rows.
 * @returns {{ first: number, last: number }}
 */
export function visibleRange({ top, height, row }, count) {
  const first = Math.max(0, Math.min(Math.floor(top / row), count) - MARGIN);
  const last = Math.min(count, Math.max(0, Math.ceil((top + height) / row)) + MARGIN);
  return { first: Math.min(first, last), last };
}

/**
 * How far to scroll so that a row is in sight, and no further than that takes.
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
 * How far to scroll so that the row that was at the top stays there, when rows before it come and
 * go. Who looks at the top of the list sees what comes.
 *
 * @param {View} view
 * @param {number} before Where that row was.
 * @param {number} after Where it is.
 */
export function keepAnchor({ top, row }, before, after) {
  return top < row ? top : Math.max(0, top + (after - before) * row);
}

/**
 * Which row a key leads to, of those that move about in a list; null for any other key.
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
