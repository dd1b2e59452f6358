/**
 * The phases of a task as segments of the bar.
 *
 * Runs in: a page.
 */

import { createPart } from "./shadow_dom.js";

/** @import { Operation } from "../client/protocol.js" */

/** @typedef {{ name?: string, weight: number, state?: string, fraction: number }} Phase */

/**
 * Return the phases that have a share of the bar, and what is left of it.
 *
 * @param {Operation | null} operation
 * @returns {Phase[]}
 */
function phasesOf(operation) {
  const found = /** @type {unknown} */ (operation?.details?.phases);
  /** @type {Phase[]} */
  const phases = Array.isArray(found) ? found.filter((one) => one?.weight > 0) : [];
  const weight = phases.reduce((left, one) => left - one.weight, 1);
  return phases.length && weight > 0.001 ? [...phases, { weight, fraction: 0 }] : phases;
}

/**
 * Draw the phases in a bar.
 *
 * @param {HTMLElement} bar Its last child is for the segments.
 * @param {Operation | null} operation
 * @returns {boolean} Whether there are phases.
 */
export function renderPhases(bar, operation) {
  const box = /** @type {HTMLElement} */ (bar.lastElementChild);
  const phases = phasesOf(operation);
  const shown = phases.length > 0;
  while (box.children.length > phases.length) box.lastChild?.remove();
  phases.forEach(({ name = "", weight, state = "", fraction }, index) => {
    const segment = /** @type {HTMLElement} */ (box.children[index] ?? createPart("phase", createPart("phase-fill")));
    if (!segment.parentNode) box.append(segment);
    segment.title = name;
    segment.dataset.state = state;
    segment.style.flexGrow = String(weight);
    const done = operation?.progress === 1 ? 1 : fraction;
    /** @type {HTMLElement} */ (segment.firstChild).style.inlineSize = `${done * 100}%`;
  });
  bar.toggleAttribute("data-phases", shown);
  return shown;
}
