/**
 * The dashboard: what a sidecar holds, as it changes. Painted once a frame, however much happens.
 *
 * Runs in: a page, that of the sidecar's `/`.
 */

import { oncePerFrame } from "../painting.js";
import { Access } from "./access.js";
import { refusalOf } from "./admission.js";
import { Detail } from "./detail.js";
import { found, mark, write } from "./dom.js";
import { Filters } from "./filters.js";
import { addressOf, operationIn } from "./routing.js";
import { Session } from "./session.js";
import { Statistics } from "./statistics.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";
import { connectionOf } from "./telling.js";

/** The sidecar: where this module came from, also behind a prefix. */
const SIDECAR = new URL("../", import.meta.url);

/** Milliseconds between two looks at the order of the rows. */
const SETTLING = 250;

/** Milliseconds of a frame, about. */
const FRAME = 16;

/** Milliseconds between two looks at the clock. */
const SECOND = 1_000;

class Dashboard {
  #paintSoon = oncePerFrame(() => this.#paint());
  #connection = found("connection");
  #empty = found("empty");
  #access = new Access(() => this.#begin());
  #filters = new Filters(() => this.#filter());
  #stream = new Stream(() => this.#paintSoon());
  #table = new Table({
    onOpen: (id) => this.#open(id),
    onMove: () => this.#paintSoon(),
  });
  #detail = new Detail({
    onChange: () => this.#paintSoon(),
    onClose: () => this.#open(null),
    flower: document.querySelector('meta[name="flower-url"]')?.getAttribute("content") ?? "",
  });
  #session = this.#connect();
  #settledAt = -Infinity;
  /** Whether the order is to be looked at in the next frame, whoever aims at what. */
  #urgent = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;

  constructor() {
    new Statistics(() => this.#session);
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["online", "offline"]) addEventListener(name, this.#paintSoon);
    found("by-id").addEventListener("submit", (event) => this.#openById(event));
    setInterval(this.#paintSoon, SECOND);
    this.#route();
  }

  #connect() {
    return new Session(SIDECAR, this.#access.token, {
      onEvent: (event, operation) => this.#stream.push(event, operation),
      onChange: () => this.#paintSoon(),
    });
  }

  /** Begin anew, with another token. */
  #begin() {
    this.#session.close();
    this.#session = this.#connect();
    this.#filter();
    if (this.#detail.id !== null) this.#detail.show(this.#detail.id, this.#session);
  }

  // What somebody does.

  #filter() {
    this.#session.roster.filter(this.#filters.filter);
    this.#urgent = true;
    this.#paintSoon();
  }

  /** @param {string | null} id */
  #open(id) {
    location.hash = addressOf(id);
  }

  #route() {
    const id = operationIn(location.hash);
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

  // What is seen.

  #paint() {
    const { client, operations, roster, now } = this.#session;
    const { word, tone } = connectionOf(client.state, client.lost, navigator.onLine);
    write(this.#connection, word);
    mark(this.#connection, "data-tone", tone);
    mark(this.#connection, "title", client.welcome.server ?? null);
    const settles = this.#settles();
    if (settles) this.#table.reorder(() => (roster.settle(), roster.order));
    this.#filters.paint(roster);
    this.#table.paint(operations, now);
    this.#paintEmpty();
    this.#detail.paint();
    // Not both in one frame: each is long.
    const wait = settles ? FRAME : this.#stream.paint();
    if (wait) this.#paintAgain(wait);
  }

  /** Whether the order is looked at in this frame; else it will be in a later one. */
  #settles() {
    if (!this.#urgent && !this.#session.roster.unsettled) return false;
    const left = this.#settledAt + SETTLING - performance.now();
    const rests = !this.#urgent && (left > 0 || this.#table.held);
    if (rests) {
      this.#paintAgain(Math.max(left, SETTLING / 2));
      return false;
    }
    this.#settledAt = performance.now();
    this.#urgent = false;
    return true;
  }

  /** @param {number} wait In milliseconds. */
  #paintAgain(wait) {
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#paintSoon();
    }, wait);
  }

  #paintEmpty() {
    const { refused, token, roster, client } = this.#session;
    const refusal = refused && refusalOf(refused, token !== "");
    const shown = refusal !== null || !roster.order.length;
    this.#empty.hidden = !shown;
    this.#access.paint(refusal?.asks ?? false);
    if (!shown) return;
    const { title, text } = refusal ?? nothingYet(roster.size > 0, client.state === "open");
    write(/** @type {Element} */ (this.#empty.querySelector(".empty-title")), title);
    write(/** @type {Element} */ (this.#empty.querySelector(".empty-text")), text);
  }
}

/**
 * @param {boolean} filtered
 * @param {boolean} connected
 */
function nothingYet(filtered, connected) {
  if (filtered) return { title: "None is like that", text: "The filter leaves nothing over." };
  if (!connected) return { title: "Waiting for the sidecar", text: "It is asked again and again." };
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
