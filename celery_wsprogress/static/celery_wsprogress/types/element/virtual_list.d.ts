/**
 * The visible rows of a long list with rows of equal height.
 *
 * Pure.
 */
export type View = {
    /**
     * The scroll position.
     */
    top: number;
    /**
     * The visible height.
     */
    height: number;
    /**
     * The height of a row.
     */
    row: number;
};
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
export declare function visibleRange({ top, height, row }: View, count: number): {
    first: number;
    last: number;
};
/**
 * Return the scroll position that reveals a row with the least scrolling.
 *
 * @param {View} view
 * @param {number} index
 */
export declare function scrollToReveal({ top, height, row }: View, index: number): number;
/**
 * Return the scroll position that keeps the top row in place when rows before it come and go. At
 * the top of the list new rows are shown.
 *
 * @param {View} view
 * @param {number} before The index of that row before.
 * @param {number} after Its index now.
 */
export declare function keepAnchor({ top, row }: View, before: number, after: number): number;
/**
 * Return the row that a navigation key leads to; null for any other key.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 * @param {View} view
 */
export declare function indexForKey(key: string, index: number, count: number, { height, row }: View): number | null;
