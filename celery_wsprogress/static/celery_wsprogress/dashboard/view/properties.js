/**
 * The properties of an operation: worker, queue, tags, relatives, metadata, details.
 *
 * Runs in: a page.
 */

import { workflowOperationId } from "../../client/protocol.js";
import { make } from "./dom.js";
import { EVERYTHING } from "../model/filter.js";
import { queryOf } from "../model/query.js";
import { addressOf } from "../model/routing.js";
import { attemptOf, momentOf, prettyJson } from "../model/format.js";

/** @import { Operation } from "../../client/protocol.js" */

export class Properties {
  #list = make("dl", { class: "facts" });
  element = make("section", {}, make("h3", {}, "About"), this.#list);
  #shown = "";

  /** @param {Operation | null} operation */
  paint(operation) {
    const facts = operation ? factsOf(operation) : [];
    this.element.hidden = !facts.length;
    const all = JSON.stringify(facts);
    if (all === this.#shown) return;
    this.#shown = all;
    this.#list.replaceChildren(...facts.map(makePair));
  }
}

/** @typedef {{ name: string, text: string, link?: string, code?: boolean }} Fact */

/**
 * @param {Operation} operation
 * @returns {Fact[]}
 */
function factsOf(operation) {
  const { worker, queue, tags, metadata, details, event_count: count } = operation;
  const texts = {
    Starts: operation.starts_at && momentOf(operation.starts_at),
    Expires: operation.expires_at && momentOf(operation.expires_at),
    Worker: worker,
    Queue: queue,
    Attempt: attemptOf(operation),
    Tags: tags.join(", "),
  };
  const [workflow] = operation.workflow_ids ?? [];
  const links = {
    Workflow: workflow && workflowOperationId(workflow),
    Parent: operation.parent_id,
    Root: operation.root_id,
  };
  const values = { Metadata: metadata, Details: details };
  return [
    ...facts(texts, (name, value) => ({ name, text: String(value) })),
    ...facts(links, (name, id) => ({ name, text: String(id), link: addressOf(String(id)) })),
    ...facts({ Group: operation.group_id }, (name, id) => ({ name, text: String(id), link: membersOf(String(id)) })),
    { name: "Events", text: String(count) },
    ...facts(values, (name, value) => ({ name, text: prettyJson(value), code: true })),
  ];
}

/**
 * Return the address of the table with the members of a group.
 *
 * @param {string} groupId
 */
function membersOf(groupId) {
  return addressOf(null, queryOf({ ...EVERYTHING, within: groupId }, null));
}

/**
 * Return the facts that are not empty.
 *
 * @param {Record<string, unknown>} values
 * @param {(name: string, value: unknown) => Fact} put
 */
function facts(values, put) {
  const known = Object.entries(values).filter(([, value]) => !isNothing(value));
  return known.map(([name, value]) => put(name, value));
}

/** @param {unknown} value */
function isNothing(value) {
  if (value == null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** @param {Fact} fact */
function makePair({ name, text, link, code }) {
  const value = link ? make("a", { href: link }, text) : code ? make("pre", {}, text) : text;
  return make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value));
}
