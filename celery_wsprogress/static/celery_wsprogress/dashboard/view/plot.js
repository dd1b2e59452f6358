/**
 * A small drawing of a series, with its newest figure beside its name.
 *
 * Runs in: a page.
 */

import { draw, found, mark, write } from "./dom.js";
import { areaPath, linePath } from "../model/series.js";
import { NONE } from "../model/format.js";

/** @import { Series } from "../model/series.js" */

/** The size of the drawing in user units; CSS scales it. */
const [WIDTH, HEIGHT] = [240, 40];

export class Plot {
  #line = draw("path", { class: "line", "vector-effect": "non-scaling-stroke" });
  #area = draw("path", { class: "area" });
  #drawing;
  #output;
  #name;

  /**
   * @param {string} id The id of its figure element.
   * @param {(value: number) => string} say Formats a figure.
   */
  constructor(id, say) {
    this.say = say;
    const figure = found(id);
    this.#output = /** @type {HTMLElement} */ (figure.querySelector("output"));
    this.#name = figure.querySelector("span")?.textContent ?? "";
    this.#drawing = draw(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      this.#area,
      this.#line,
    );
    figure.append(this.#drawing);
  }

  /** @param {Series} series */
  paint(series) {
    const now = series.last === null ? NONE : this.say(series.last);
    write(this.#output, now);
    const highest = this.say(series.highest);
    mark(this.#drawing, "aria-label", `${this.#name}: now ${now}, at most ${highest}`);
    // One unit of margin, so that the line is not cut off.
    const stretches = series.stretches(WIDTH, HEIGHT - 2).map((points) =>
      points.map(([x, y]) => /** @type {[number, number]} */ ([x, y + 1])),
    );
    mark(this.#line, "d", linePath(stretches));
    mark(this.#area, "d", areaPath(stretches, HEIGHT));
  }
}
