/**
 * The buttons that save the shown operations as a file.
 *
 * Runs in: a page.
 */

import { found, make } from "./dom.js";
import { toCsv, toJson } from "../model/export.js";

/** @import { Operation } from "../../client/protocol.js" */

/** @type {[id: string, ending: string, type: string, write: (operations: Operation[]) => string][]} */
const FORMATS = [
  ["save-csv", "csv", "text/csv", toCsv],
  ["save-json", "json", "application/json", toJson],
];

export class ExportButtons {
  /** @param {() => Operation[]} operations Returns those that are shown, in their order. */
  constructor(operations) {
    for (const [id, ending, type, write] of FORMATS) {
      found(id).addEventListener("click", () => {
        const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
        save(`operations-${time}.${ending}`, new Blob([write(operations())], { type }));
      });
    }
  }
}

/**
 * @param {string} name
 * @param {Blob} file
 */
function save(name, file) {
  const address = URL.createObjectURL(file);
  make("a", { href: address, download: name }).click();
  // Later than the click: some browsers begin to read then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
