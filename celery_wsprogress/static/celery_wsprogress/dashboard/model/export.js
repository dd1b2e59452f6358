/**
 * Operations as a file: comma-separated values for a spreadsheet, or JSON.
 *
 * Pure.
 */

/** @import { Operation } from "../../client/protocol.js" */

/** The columns of a file of comma-separated values, as the snapshots name them. */
const COLUMNS = /** @type {const} */ ([
  "operation_id", "operation_type", "state", "status", "progress", "message", "current", "total", "unit",
  "queued_at", "started_at", "finished_at", "duration", "attempt", "worker", "queue", "tags", "group_id",
  "root_id", "error_type", "error",
]);

/** Columns of times, which are written as ISO 8601 in UTC. */
const TIMES = ["queued_at", "started_at", "finished_at"];

/**
 * Return operations as comma-separated values (RFC 4180), with a line of names.
 *
 * @param {Operation[]} operations
 */
export function toCsv(operations) {
  const lines = operations.map((operation) =>
    COLUMNS.map((name) => field(TIMES.includes(name) ? isoTime(operation[name]) : operation[name])),
  );
  return [COLUMNS, ...lines].map((fields) => `${fields.join(",")}\r\n`).join("");
}

/**
 * Return operations as a JSON array of their snapshots.
 *
 * @param {Operation[]} operations
 */
export function toJson(operations) {
  return `${JSON.stringify(operations, null, 2)}\n`;
}

/** @param {unknown} at Epoch seconds. */
function isoTime(at) {
  return typeof at === "number" && at > 0 ? new Date(at * 1000).toISOString() : "";
}

/** @param {unknown} value */
function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = Array.isArray(value) ? value.join(" ") : String(value);
  // Spreadsheets run a cell that begins so, and any task can write it. In some languages a cell
  // ends at a semicolon, and quotes within it do not count.
  const plain = text.replace(/(^|[;\t\r\n"])(?=[=+\-@\t\r])/g, "$1'");
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
