/**
 * The dashboard of a sidecar: connects the session, the model and the views. Painted once per
 * frame, whatever the number of events.
 *
 * Runs in: the page at `/` of the sidecar.
 */

import { oncePerFrame } from "../element/animation_frame.js";
import { TokenForm } from "./view/token_form.js";
import { accessError } from "./model/access_errors.js";
import { Detail } from "./view/detail.js";
import { ExportButtons } from "./view/export_buttons.js";
import { found, mark, write } from "./view/dom.js";
import { Filters } from "./view/filters.js";
import { queryOf, readQuery } from "./model/query.js";
import { addressOf, operationInHash, queryInHash } from "./model/routing.js";
import { Session } from "./session.js";
import { SortHeader } from "./view/sort_header.js";
import { Statistics } from "./view/statistics.js";
import { Stream } from "./view/stream.js";
import { Table } from "./view/table.js";
import { connectionLabel } from "./model/format.js";

/** The address of the sidecar that served this module, also behind a prefix. */
const SIDECAR = new URL("../", import.meta.url);

/** Minimum milliseconds between two changes of the order of rows. */
const REORDER_INTERVAL = 250;

/** Milliseconds of a frame, approximately. */
const FRAME_TIME = 16;

/** Milliseconds after a change until the address has it, since browsers bound the changes. */
const ADDRESS_DELAY = 250;

/** Milliseconds between two updates of elapsed times. */
const CLOCK_INTERVAL = 1_000;

class Dashboard {
  #paintSoon = oncePerFrame(() => this.#paint());
  #connection = found("connection");
  #empty = found("empty");
  #tokenForm = new TokenForm(() => this.#restart());
  #filters = new Filters(() => this.#choose());
  #sortHeader = new SortHeader(() => this.#choose());
  #stream = new Stream(() => this.#paintSoon());
  #table = new Table({
    onOpen: (id) => this.#open(id),
    onFold: (id, unfolded) => this.#fold(id, unfolded),
    onMove: () => this.#paintSoon(),
  });
  #detail = new Detail({
    onChange: () => this.#paintSoon(),
    onClose: () => this.#open(null),
    onOpen: (id) => this.#open(id),
    flower: document.querySelector('meta[name="flower-url"]')?.getAttribute("content") ?? "",
  });
  #session = this.#connect();
  #reorderedAt = -Infinity;
  /** Whether to update the order in the next frame, even while the pointer holds the rows. */
  #urgent = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #paintTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #addressTimer;

  constructor() {
    new ExportButtons(() => this.#session.shown);
    new Statistics(() => this.#session);
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["online", "offline"]) addEventListener(name, this.#paintSoon);
    found("by-id").addEventListener("submit", (event) => this.#openById(event));
    setInterval(this.#paintSoon, CLOCK_INTERVAL);
    this.#route();
  }

  #connect() {
    return new Session(SIDECAR, this.#tokenForm.token, {
      onEvent: (event, operation) => this.#stream.push(event, operation),
      onChange: () => this.#paintSoon(),
    });
  }

  /** Start over with another token. */
  #restart() {
    this.#session.close();
    this.#session = this.#connect();
    this.#filter();
    if (this.#detail.id !== null) this.#detail.show(this.#detail.id, this.#session);
  }

  // Input.

  /** The reader has chosen other operations, or another order: show that, and note it. */
  #choose() {
    this.#filter();
    clearTimeout(this.#addressTimer);
    this.#addressTimer = setTimeout(() => this.#noteChoice(), ADDRESS_DELAY);
  }

  #filter() {
    const { operationList } = this.#session;
    operationList.filter(this.#filters.filter);
    operationList.sort(this.#sortHeader.sorting);
    this.#urgent = true;
    this.#paintSoon();
  }

  get #query() {
    return queryOf(this.#filters.filter, this.#sortHeader.sorting);
  }

  /** Write into the address what is shown, without another step in the history of the tab. */
  #noteChoice() {
    const { hash } = location;
    const address = addressOf(operationInHash(hash), this.#query);
    if (address !== (hash || "#/")) history.replaceState(null, "", address);
  }

  /**
   * @param {string} id
   * @param {boolean} unfolded
   */
  #fold(id, unfolded) {
    this.#session.workflows.toggle(id, unfolded);
    this.#urgent = true;
    this.#paintSoon();
  }

  /** @param {string | null} id */
  #open(id) {
    location.hash = addressOf(id, this.#query);
  }

  #route() {
    const query = queryInHash(location.hash);
    if (query !== null && query !== this.#query) {
      const { filter, sorting } = readQuery(query);
      this.#filters.set(filter);
      this.#sortHeader.set(sorting);
      this.#filter();
    }
    this.#noteChoice();
    const id = operationInHash(location.hash);
    const before = this.#detail.id;
    if (id === before) return;
    this.#detail.show(id, this.#session);
    this.#table.select(id);
    if (id !== null) this.#detail.focus();
    else if (before !== null) this.#table.focus();
    this.#paintSoon();
  }

  /** @param {Event} event */
  #openById(event) {
    event.preventDefault();
    const input = found("by-id-input", HTMLInputElement);
    const id = input.value.trim();
    if (!id) return;
    input.value = "";
    this.#open(id);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape" && this.#detail.id !== null && !isField(event.target)) {
      event.preventDefault();
      this.#open(null);
    } else if (event.key === "/" && !isField(event.target) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      found("filters").querySelector("input")?.focus();
    }
  }

  // Painting.

  #paint() {
    const { client, operations, operationList, now } = this.#session;
    const { word, tone } = connectionLabel(client.state, client.lost, navigator.onLine);
    write(this.#connection, word);
    mark(this.#connection, "data-tone", tone);
    mark(this.#connection, "title", client.welcome.server ?? null);
    const settles = this.#shouldReorder();
    if (settles) this.#table.reorder(() => this.#session.updateRows());
    this.#filters.paint(operationList);
    this.#table.paint(operations, now);
    this.#paintEmpty();
    this.#detail.paint();
    // Not in the same frame: each takes long.
    const wait = settles ? FRAME_TIME : this.#stream.paint();
    if (wait) this.#paintAgain(wait);
  }

  /** Return whether to update the order in this frame; if not, schedule a later one. */
  #shouldReorder() {
    if (!this.#urgent && !this.#session.operationList.needsUpdate) return false;
    const left = this.#reorderedAt + REORDER_INTERVAL - performance.now();
    const rests = !this.#urgent && (left > 0 || this.#table.held);
    if (rests) {
      this.#paintAgain(Math.max(left, REORDER_INTERVAL / 2));
      return false;
    }
    this.#reorderedAt = performance.now();
    this.#urgent = false;
    return true;
  }

  /** @param {number} wait In milliseconds. */
  #paintAgain(wait) {
    this.#paintTimer ??= setTimeout(() => {
      this.#paintTimer = undefined;
      this.#paintSoon();
    }, wait);
  }

  #paintEmpty() {
    const { refused, token, operationList, client } = this.#session;
    const refusal = refused && accessError(refused, token !== "");
    const shown = refusal !== null || !operationList.order.length;
    this.#empty.hidden = !shown;
    this.#tokenForm.paint(refusal?.asks ?? false);
    if (!shown) return;
    const { title, text } = refusal ?? emptyMessage(operationList.size > 0, client.state === "open");
    write(/** @type {Element} */ (this.#empty.querySelector(".empty-title")), title);
    write(/** @type {Element} */ (this.#empty.querySelector(".empty-text")), text);
  }
}

/**
 * @param {boolean} filtered
 * @param {boolean} connected
 */
function emptyMessage(filtered, connected) {
  if (filtered) return { title: "No operation matches", text: "The filter excludes all operations." };
  if (!connected) return { title: "Waiting for the sidecar", text: "Trying to connect again and again." };
  return {
    title: "Nothing is running",
    text: "Tasks appear here as they are sent, when they are made with base=StreamingTask.",
  };
}

/** @param {EventTarget | null} target */
function isField(target) {
  return target instanceof HTMLInputElement;
}

new Dashboard();
