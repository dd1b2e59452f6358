/**
 * The steps of a workflow, live: a tree whose nodes follow their tasks.
 *
 *     const steps = watchSteps(connect("ws://localhost:8765"), workflowId);
 *     steps.observe(() => show(steps.tree.root));
 *
 * Runs in: a page, a worker, or Node.
 */

import { callSafely } from "./client/callbacks.js";
import { WorkflowTree } from "./client/workflow_tree.js";

/** @import { Client } from "./client.js" */
/** @import { Monitor, Watch } from "./client/handles.js" */
/** @import { Operation } from "./client/protocol.js" */

export { WorkflowNode, WorkflowTree } from "./client/workflow_tree.js";

/** Minimum milliseconds between two fetches of the tree; a long fetch is followed by a longer rest. */
const FETCH_INTERVAL = 1_000;

/**
 * @typedef {object} StepsOptions
 * @property {number} [max_rate] Maximum number of progress events per second and task, 0.01 or more.
 * @property {(operation: Operation) => void} [onStep] Called for each change of a task.
 */

/**
 * Watch the steps of a workflow.
 *
 * @param {Client} client Its token must grant the tasks: the workflow's id alone grants the bar.
 * @param {string} id The id that the caller holds.
 * @param {StepsOptions} [options]
 * @returns {Steps}
 */
export function watchSteps(client, id, options = {}) {
  return new Steps(client, id, options);
}

/** The handle of the steps of one workflow. */
export class Steps {
  tree = new WorkflowTree();
  /** The reason why the steps may not be watched. @type {Error | null} */
  error = null;
  closed = false;

  /** Resolves when the tree is known; rejects when it may not be watched. @type {Promise<void>} */
  ready;

  #client;
  #id;
  #options;
  /** @type {Set<() => void>} */
  #observers = new Set();
  /** The workflow as one operation, which tells how many tasks there are. @type {Watch} */
  #bar;
  /** @type {Monitor} */
  #tasks;
  /** Whether the tree is to be fetched again. */
  #stale = true;
  #fetching = false;
  /** What the bar said when the tree was last to be fetched. */
  #shape = "";
  #stopObserving;

  /**
   * @param {Client} client
   * @param {string} id
   * @param {StepsOptions} options
   */
  constructor(client, id, { max_rate, ...options }) {
    this.#client = client;
    this.#id = id;
    this.#options = options;
    const onRefused = (/** @type {Error} */ error) => this.#reject(error);
    this.#bar = client.watch(id, {
      workflow: true,
      stay: true,
      onChange: (operation) => this.#compare(operation),
      onRefused,
    });
    // First the events, then the tree: what happens between them is not missed.
    this.#tasks = client.monitor(
      { steps_of: id },
      {
        max_rate,
        covers: (one) => this.tree.steps.has(one),
        onChange: (operation) => this.#report(operation),
        onRefused,
      },
    );
    this.#stopObserving = client.observe(() => client.state === "open" && this.#refetch());
    this.ready = this.#tasks.ready.then(() => this.#fetch());
    this.ready.catch(() => {});
  }

  /**
   * Call a function after each change. It is called often: draw once per frame.
   *
   * @param {() => void} observer
   * @returns {() => void} Stops the calls.
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Stop watching. */
  close() {
    this.closed = true;
    this.#stopObserving();
    this.#bar.close();
    this.#tasks.close();
    this.#observers.clear();
  }

  /** @param {Operation} operation That of a task. */
  #report(operation) {
    if (!this.tree.report(operation)) return;
    callSafely(() => this.#options.onStep?.(operation));
    this.#notify();
  }

  /**
   * Fetch the tree again if it has more tasks, or is over.
   *
   * @param {Operation} bar
   */
  #compare({ details, state }) {
    const shape = JSON.stringify([details.total, state === "running"]);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#refetch();
  }

  #refetch() {
    this.#stale = true;
    // The first fetch follows the subscription.
    this.#tasks.ready.then(() => this.#fetch()).catch(() => {});
  }

  async #fetch() {
    if (this.#fetching || this.closed) return;
    this.#fetching = true;
    this.#stale = false;
    const began = performance.now();
    try {
      for await (const page of this.#client.treePages(this.#id)) {
        if (this.closed) return;
        this.tree.update(page);
        for (const one of this.#tasks.operations.values()) this.tree.report(one);
        this.#notify();
      }
    } catch (error) {
      this.#reject(/** @type {Error} */ (error));
      throw error;
    } finally {
      const took = performance.now() - began;
      setTimeout(() => this.#rest(), Math.max(FETCH_INTERVAL, 5 * took));
    }
  }

  /** The time between two fetches is over. */
  #rest() {
    this.#fetching = false;
    if (this.#stale) this.#fetch().catch(() => {});
  }

  /** @param {Error} error */
  #reject(error) {
    if (this.closed || this.error) return;
    this.error = error;
    this.#notify();
  }

  #notify() {
    for (const observer of [...this.#observers]) callSafely(observer);
  }
}
