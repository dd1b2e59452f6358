/**
 * The query in the fragment of the address: what the table shows, and in which order.
 *
 * Pure.
 */

import { COLUMNS } from "./columns.js";
import { EVERYTHING, GROUPS } from "./filter.js";

/** @import { Column, Sorting } from "./columns.js" */
/** @import { Filter, Group } from "./filter.js" */

/** The fields of a filter that are texts. */
const TEXTS = /** @type {const} */ (["type", "tag", "within", "text"]);

/**
 * Return the query; empty where nothing is chosen.
 *
 * @param {Filter} filter
 * @param {Sorting | null} sorting
 */
export function queryOf(filter, sorting) {
  const query = new URLSearchParams();
  if (filter.group) query.set("state", filter.group);
  for (const name of TEXTS) if (filter[name].trim()) query.set(name, filter[name].trim());
  if (filter.workflows) query.set("workflows", "1");
  if (sorting) query.set("sort", `${sorting.descending ? "-" : ""}${sorting.column}`);
  return query.toString();
}

/**
 * Return what a query chooses. What it names and is not known counts as not chosen.
 *
 * @param {string} text
 * @returns {{ filter: Filter, sorting: Sorting | null }}
 */
export function readQuery(text) {
  const query = new URLSearchParams(text);
  const filter = { ...EVERYTHING, workflows: query.get("workflows") === "1" };
  for (const name of TEXTS) filter[name] = query.get(name) ?? "";
  const group = /** @type {Group} */ (query.get("state"));
  if (GROUPS.includes(group)) filter.group = group;
  const [, minus, name] = /^(-?)(\w+)$/.exec(query.get("sort") ?? "") ?? [];
  const column = /** @type {Column} */ (name);
  const sorting = COLUMNS.includes(column) ? { column, descending: minus === "-" } : null;
  return { filter, sorting };
}
