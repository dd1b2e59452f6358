/**
 * The client of the dashboard, for one token, with a monitor of all operations, and their workflows.
 *
 * Runs in: a page.
 */

import { connect } from "../client.js";
import { OperationList } from "./model/operation_list.js";
import { tableRows } from "./model/workflow_steps.js";
import { Workflows } from "./workflows.js";

/** @import { Operation, ProgressEvent } from "../client/protocol.js" */

/** Maximum number of operations; beyond it those that ended first are dropped. */
const MAX_OPERATIONS = 10_000;

export class Session {
  /** The reason why the monitor was rejected. @type {Error | null} */
  refused = null;

  /** Returns the token. */
  getToken;

  #monitor;

  /**
   * @param {URL} url
   * @param {string} token Empty where there is none.
   * @param {object} hooks
   * @param {(event: ProgressEvent, operation: Operation) => void} hooks.onEvent
   * @param {() => void} hooks.onChange Called after any change.
   */
  constructor(url, token, { onEvent, onChange }) {
    this.token = token;
    this.getToken = () => token;
    this.client = connect(url, { getToken: this.getToken });
    this.client.observe(onChange);
    this.#monitor = this.client.monitor(
      {},
      {
        limit: MAX_OPERATIONS,
        onChange: (operation, event) => {
          this.operationList.markDirty(operation.operation_id);
          this.workflows.note(operation);
          if (event) onEvent(event, operation);
          onChange();
        },
        onRefused: (error) => {
          this.refused = error;
          onChange();
        },
      },
    );
    this.workflows = new Workflows(this.client, this.#monitor.operations, {
      onSteps: (ids) => {
        for (const id of ids) this.operationList.markDirty(id);
        onChange();
      },
    });
    const isBelow = (/** @type {Operation} */ one) => this.workflows.steps.isBelow(one);
    this.operationList = new OperationList(this.#monitor.operations, isBelow, (one, workflowId) =>
      this.workflows.steps.isStepOf(one, workflowId),
    );
    // A rejection is handled by `onRefused`.
    this.#monitor.ready.then(onChange, () => {});
  }

  get operations() {
    return this.#monitor.operations;
  }

  /** Epoch seconds of the sidecar's clock. */
  get now() {
    return this.client.now;
  }

  /** Bring the list of operations up to date, and return the rows of the table. */
  updateRows() {
    this.operationList.update(this.now);
    return tableRows(this.operationList.order, this.operations, this.workflows.unfolded);
  }

  /** The operations that are shown, in their order. @returns {Operation[]} */
  get shown() {
    return this.operationList.order.flatMap(({ id }) => this.operations.get(id) ?? []);
  }

  close() {
    this.workflows.close();
    this.client.close();
  }
}
