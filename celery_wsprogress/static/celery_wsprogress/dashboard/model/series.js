/**
 * Series of figures, and their SVG paths.
 *
 * Pure.
 */

/** The newest figures of a series; null stands for a missing one. */
export class Series {
  /** The oldest first. @type {(number | null)[]} */
  values = [];

  #length;

  /** @param {number} length Maximum number of figures. */
  constructor(length) {
    this.#length = length;
  }

  /** The newest. @returns {number | null} */
  get last() {
    return this.values.at(-1) ?? null;
  }

  /** @returns {number} */
  get highest() {
    return this.values.reduce((/** @type {number} */ most, one) => Math.max(most, one ?? 0), 0);
  }

  /** @param {number | null} value */
  push(value) {
    this.values.push(value);
    if (this.values.length > this.#length) this.values.shift();
  }

  /**
   * Return the points of a drawing, the newest at the right edge, as one list per stretch without
   * a gap.
   *
   * @param {number} width
   * @param {number} height
   * @returns {[number, number][][]}
   */
  stretches(width, height) {
    const step = width / (this.#length - 1);
    const scale = height / roundUp(this.highest);
    /** @type {[number, number][][]} */
    const found = [[]];
    this.values.forEach((value, index) => {
      const x = width - (this.values.length - 1 - index) * step;
      if (value === null) found.push([]);
      else found[found.length - 1].push([round(x), round(height - value * scale)]);
    });
    return found.filter((one) => one.length);
  }
}

/**
 * Return the next 1, 2 or 5 times a power of ten: the end of a scale.
 *
 * @param {number} value
 */
export function roundUp(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5].find((one) => one * unit >= value) ?? 10) * unit;
}

/**
 * Return the SVG path of a line.
 *
 * @param {[number, number][][]} stretches
 */
export function linePath(stretches) {
  return stretches.map((points) => `M${points.map((one) => one.join(" ")).join("L")}`).join("");
}

/**
 * Return the SVG path of the area below a line.
 *
 * @param {[number, number][][]} stretches
 * @param {number} height
 */
export function areaPath(stretches, height) {
  const area = (/** @type {[number, number][]} */ points) => {
    const [start, end] = [points[0][0], points[points.length - 1][0]];
    return `${linePath([points])}L${end} ${height}L${start} ${height}Z`;
  };
  return stretches.map(area).join("");
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
