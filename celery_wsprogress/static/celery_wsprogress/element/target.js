/**
 * What `<celery-progress>` follows, as its attributes name it: a task, a workflow, several tasks, or
 * the members of a group.
 *
 * Runs in: a page.
 */

import { aggregate } from "./workflow.js";

/** @import { Client } from "../client.js" */
/** @import { WatchOptions } from "../client/handle.js" */
/** @import { Monitor, Watch, WatchMany } from "../client/handles.js" */
/** @import { Operation } from "../client/protocol.js" */

/** The attributes that name it; the first one that is set counts. */
export const TARGETS = ["workflow-id", "task-id", "task-ids", "group-id"];

export class Target {
  /** The name of the attribute; undefined where none is set. */
  name;
  /** The id, or the ids between spaces; empty where none is given. */
  id;

  /** @param {Element} host */
  constructor(host) {
    this.name = TARGETS.find((name) => host.getAttribute(name)?.trim());
    this.id = host.getAttribute(this.name ?? "")?.trim() ?? "";
  }

  get isWorkflow() {
    return this.name === "workflow-id";
  }

  /** Whether it is several operations, put together here. */
  get isMany() {
    return this.name === "task-ids" || this.name === "group-id";
  }

  /** Another one, if it differs. */
  get key() {
    return `${this.name} ${this.id}`;
  }

  /**
   * Begin to follow it.
   *
   * @param {Client} client
   * @param {WatchOptions} options
   * @returns {Watch | WatchMany | Monitor}
   */
  watch(client, options) {
    if (this.name === "group-id") return client.monitor({ group_id: this.id }, options);
    if (this.isMany) return client.watchMany(this.id.split(/\s+/), options);
    return client.watch(this.id, { ...options, workflow: this.isWorkflow });
  }

  /**
   * Return its snapshot, with tasks that are not known yet as queued; null if nothing is known.
   *
   * @param {Watch | WatchMany | Monitor | null} handle As returned by `watch`.
   * @returns {Operation | null}
   */
  operationOf(handle) {
    if (!handle || "operation" in handle) return handle?.operation ?? null;
    const total = "ids" in handle ? handle.ids.length : undefined;
    return aggregate(this.id, handle.operations.values(), total);
  }
}
