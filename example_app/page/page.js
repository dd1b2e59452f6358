/* The example's page: start tasks, watch them.
 *
 * Four parts that know as little of each other as possible:
 *
 *   reduce, restore   pure: how an event, or a snapshot, changes what is known of an operation
 *   Link              the WebSocket: connects, and connects again, until the page is closed
 *   Card              the DOM of one operation; text from tasks only ever becomes text
 *   the page itself   which operations there are, and what happens when something is clicked
 */

// ---------------------------------------------------------------- what an operation is

const MAX_LOG = 300; // lines that are kept

/** An operation of which nothing is known yet but its id. */
export function begin(id, title = id) {
  return {
    id, title,
    state: null, // queued, received, running, retrying, completed, error or cancelled
    label: "", // what the badge says: a word of the task's own, else the state
    progress: 0, message: "", measure: {}, // current, total, unit, rate, eta, indeterminate
    attempt: 1, retryIn: null,
    log: [], logged: 0, // the last lines, and how many there were
    result: undefined, truncated: false,
    error: "", errorType: "", duration: null,
    lastEventId: null,
  };
}

export const isFinished = ({ state }) => ["completed", "error", "cancelled"].includes(state);

/** The operation after an event. Event types of later protocols change nothing. */
export function reduce(operation, event) {
  const next = { ...operation, lastEventId: event.event_id ?? operation.lastEventId };
  const change = changes[event.event_type];
  return change ? { ...next, ...change(operation, event.data, event) } : next;
}

const changes = {
  status(operation, data) {
    const common = { attempt: data.attempt ?? operation.attempt, title: data.metadata?.title ?? operation.title };
    switch (data.status) {
      case "queued":
      case "received": {
        // They come late at times, and a retry is received long before it starts.
        const early = [null, "queued", "received"].includes(operation.state);
        return early ? { ...common, state: data.status, label: data.status } : { title: common.title };
      }
      case "started":
        return {
          ...common, state: "running", label: "running", progress: 0, message: data.message, measure: {},
          retryIn: null, result: undefined, truncated: false, error: "", errorType: "", duration: null,
        };
      case "retrying":
        return { ...common, state: "retrying", label: "retrying", message: data.message, measure: {}, retryIn: data.retry_in ?? null };
      default:
        return { ...common, label: data.status, message: data.message || operation.message };
    }
  },
  progress: (operation, data) => ({ progress: data.progress, message: data.message, measure: measureOf(data) }),
  log(operation, data) {
    const line = { number: operation.logged + 1, level: data.level, message: data.message };
    return { log: [...operation.log, line].slice(-MAX_LOG), logged: line.number };
  },
  result: (operation, data) => ({ result: data.result, truncated: data.truncated ?? false }),
  completed: (operation, data) => ({
    state: "completed", label: "completed", progress: 1, duration: data.duration, measure: countOf(operation.measure),
  }),
  error(operation, data) {
    const state = data.status === "cancelled" ? "cancelled" : "error";
    return {
      state, label: state, error: data.error, errorType: data.error_type,
      duration: data.duration, measure: countOf(operation.measure),
    };
  },
};

/** The operation after a snapshot: what the sidecar says it is now. */
export function restore(operation, snapshot) {
  if (!snapshot || operation.state) return operation; // its events are here already, or will follow
  const state = snapshot.state ?? (isFinished({ state: snapshot.status }) ? snapshot.status : "running");
  return {
    ...operation, state,
    label: snapshot.status === "started" ? "running" : snapshot.status,
    title: snapshot.metadata?.title ?? operation.title,
    progress: snapshot.progress, message: snapshot.message ?? "", measure: measureOf(snapshot),
    attempt: snapshot.attempt ?? 1, duration: snapshot.duration ?? null,
    error: snapshot.error ?? "", errorType: snapshot.error_type ?? "",
  };
}

const measureOf = (data) => pick(data, ["current", "total", "unit", "rate", "eta", "indeterminate"]);
const countOf = (measure) => pick(measure, ["current", "total", "unit"]);

/** What is set: events leave out what they do not know, snapshots say null. */
const pick = (source, names) => Object.fromEntries(names.map((name) => [name, source[name] ?? undefined]));

// ---------------------------------------------------------------- the socket

const NEVER_AGAIN = [1003, 1007, 1008, 1009]; // and 4500 to 4999: to come back would not help
const PATIENCE = 10_000; // ms until a welcome or an answer to a ping must have come

class Link {
  /** `onFrame` gets every frame, `onState` a word and a sentence; `onOpen` says what to watch. */
  constructor(url, { onOpen, onFrame, onState }) {
    Object.assign(this, { url, onOpen, onFrame, onState, failures: 0, heartbeat: 20_000, features: [] });
    addEventListener("online", () => (this.socket ? this.ask() : this.connect()));
    setInterval(() => this.check(), 1000);
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    this.onState("connecting", "connecting");
    this.asked = performance.now(); // the welcome is awaited as the answer to a ping is
    const socket = (this.socket = new WebSocket(this.url));
    socket.onopen = () => this.onOpen();
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.lost(code, reason);
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(command) {
    if (this.isOpen) this.socket.send(JSON.stringify(command));
  }

  hear(frame) {
    this.heard = performance.now();
    this.asked = null;
    if (frame.event_type === "connected") {
      this.failures = 0;
      this.features = frame.data.features ?? [];
      this.heartbeat = 1000 * (frame.data.heartbeat ?? 20);
      this.onState("connected", "connected");
    }
    this.onFrame(frame);
  }

  /** Browsers do not show the server's pings, so a quiet link is asked whether it is alive. */
  check() {
    if (!this.socket) return;
    const now = performance.now();
    if (this.asked !== null) {
      if (now - this.asked > PATIENCE) this.lost(1006, "");
    } else if (now - this.heard > this.heartbeat) {
      this.ask();
    }
  }

  ask() {
    if (!this.isOpen || this.asked !== null) return;
    this.asked = performance.now();
    this.send({ command: "ping" });
  }

  lost(code, reason) {
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
    if (NEVER_AGAIN.includes(code) || (code >= 4500 && code < 5000)) {
      this.onState("refused", `refused (${code} ${reason})`);
      return;
    }
    const wait = code === 1012 ? restartDelay(reason) : this.backoff();
    this.onState("waiting", wait < 1500 ? "reconnecting" : `reconnecting in ${Math.round(wait / 1000)} s`);
    this.timer = setTimeout(() => this.connect(), wait);
  }

  /** Full jitter: many pages that lost the same sidecar do not come back all at once. */
  backoff() {
    const most = Math.min(20_000, 500 * 2 ** this.failures++);
    return Math.random() * most;
  }
}

/** A sidecar that restarts says when to come back. */
function restartDelay(reason) {
  try {
    return JSON.parse(reason).retry_ms ?? 500;
  } catch {
    return 500;
  }
}

// ---------------------------------------------------------------- one operation in the DOM

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

const seconds = (value) =>
  value < 10 ? `${value.toFixed(1)} s` : value < 60 ? `${Math.round(value)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;

/** "1,204 of 1,790 files · 210 files/s · 3 s left" */
function figures(operation) {
  const { current, total, unit = "", rate, eta } = operation.measure;
  const parts = [];
  if (current !== undefined) {
    const of = total === undefined ? "" : ` of ${numbers.format(total)}`;
    parts.push(`${numbers.format(current)}${of} ${unit}`.trim());
    if (rate) parts.push(`${numbers.format(rate >= 10 ? Math.round(rate) : rate)} ${unit}/s`);
  }
  if (eta !== undefined) parts.push(`${Math.ceil(eta)} s left`);
  if (operation.state === "retrying" && operation.retryIn) parts.push(`again in ${seconds(operation.retryIn)}`);
  if (isFinished(operation) && operation.duration !== null) parts.push(seconds(operation.duration));
  return parts.join(" · ");
}

/** Show or hide an element; write its text only where it changed, so that selections live on. */
function write(element, text) {
  element.hidden = text === "";
  if (element.textContent !== text) element.textContent = text;
}

class Card {
  constructor(operation) {
    const template = document.getElementById("operation-template");
    this.root = template.content.firstElementChild.cloneNode(true);
    this.root.dataset.id = operation.id;
    this.painted = 0; // log lines
    const heading = this.find("h3");
    heading.id = `title-${operation.id}`;
    this.find(".bar").setAttribute("aria-labelledby", heading.id);
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  paint(operation) {
    this.root.dataset.state = operation.state ?? "unknown";
    write(this.find("h3"), operation.title);
    write(this.find(".badge"), operation.label || "waiting");
    write(this.find(".attempt"), operation.attempt > 1 ? `attempt ${operation.attempt}` : "");
    this.paintBar(operation);
    const message = this.find(".message");
    message.textContent = message.title = isFinished(operation) ? "" : operation.message;
    this.find(".numbers").textContent = figures(operation);
    write(this.find(".failure"), operation.error && `${operation.errorType}: ${operation.error}`);
    this.paintLog(operation);
    this.paintResult(operation);
  }

  paintBar(operation) {
    const bar = this.find(".bar");
    const waits = ["queued", "received", null].includes(operation.state);
    const indeterminate = !isFinished(operation) && (waits || Boolean(operation.measure.indeterminate));
    const percent = Math.floor(operation.progress * 100);
    bar.classList.toggle("indeterminate", indeterminate && !waits);
    bar.style.setProperty("--share", operation.progress);
    if (indeterminate) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", percent);
    bar.setAttribute("aria-valuetext", [operation.label || "waiting", indeterminate ? "" : `${percent} %`].join(" ").trim());
    this.find(".percent").textContent = indeterminate ? "" : `${percent} %`;
  }

  paintLog(operation) {
    this.find(".log").hidden = operation.logged === 0;
    if (operation.logged === this.painted) return;
    const list = this.find(".log ol");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 8;
    for (const line of operation.log.filter(({ number }) => number > this.painted)) {
      const item = document.createElement("li");
      item.dataset.level = line.level;
      item.textContent = line.message;
      list.append(item);
    }
    while (list.children.length > MAX_LOG) list.firstElementChild.remove();
    this.painted = operation.logged;
    this.find(".log-count").textContent = `(${numbers.format(operation.logged)})`;
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  paintResult({ result, truncated, title }) {
    const none = result === undefined || result === null; // a task that returns nothing
    this.find(".result").hidden = none;
    if (none) return;
    const text = typeof result === "string" ? result : JSON.stringify(result, null, 2);
    write(this.find(".result pre"), truncated ? `${text}\n(cut: the whole result is too large)` : text);
    const picture = this.find(".picture");
    // Only a picture of our own: a result could name any address.
    if (picture.hidden && /^\/pictures\/[0-9a-f-]+\.png$/.test(result.picture)) {
      picture.src = result.picture;
      picture.alt = String(result.shows ?? title);
      picture.hidden = false;
    }
  }
}

// ---------------------------------------------------------------- the page

const STORE = "wsprogress-example-operations";
const UNKNOWN = "nothing heard";

const operations = new Map(); // id -> operation
const cards = new Map(); // id -> card
const seen = new Map(); // id -> ids of the events that were folded in already
const changed = new Set(); // ids to paint in the next frame
const element = (id) => document.getElementById(id);

function add(operation) {
  const card = new Card(operation);
  operations.set(operation.id, operation);
  cards.set(operation.id, card);
  seen.set(operation.id, new Set());
  element("operations").prepend(card.root);
  touch(operation.id);
}

/** Keep the ids for a reload: everything else comes back from the sidecar. */
function save() {
  const kept = [...operations.values()].map(({ id, title }) => ({ id, title }));
  sessionStorage.setItem(STORE, JSON.stringify(kept));
}

function update(id, operation) {
  const before = operations.get(id);
  if (isFinished(operation) && !isFinished(before) && cards.get(id).root.dataset.state === "running") {
    element("announcer").textContent = `${operation.title}: ${operation.label}`;
  }
  operations.set(id, operation);
  touch(id);
}

/** Events come faster than the screen shows them: paint once a frame. */
function touch(id) {
  if (changed.size === 0) requestAnimationFrame(paint);
  changed.add(id);
}

function paint() {
  for (const id of changed) cards.get(id)?.paint(operations.get(id));
  changed.clear();
  element("empty").hidden = operations.size > 0;
  element("clear").disabled = ![...operations.values()].some(isOver);
}

/** Finished, or from before a reload and unknown to the sidecar: it may be over for long. */
const isOver = (operation) => isFinished(operation) || operation.label === UNKNOWN;

function clearFinished() {
  for (const operation of [...operations.values()].filter(isOver)) {
    link.send({ command: "unsubscribe", operation_id: operation.id });
    cards.get(operation.id).root.remove();
    for (const held of [operations, cards, seen, changed]) held.delete(operation.id);
  }
  save();
  paint();
}

function subscribe(operation) {
  const command = { command: "subscribe", operation_id: operation.id };
  if (operation.lastEventId && link.features.includes("resume")) command.since = operation.lastEventId;
  link.send(command);
}

function receive(frame) {
  const operation = operations.get(frame.operation_id);
  if (frame.event_type === "reply") {
    if (frame.error) complain(frame.error);
    else if (operation && frame.status === "subscribed") confirmed(operation, frame.operation);
  } else if (operation && !isRepeat(frame)) {
    update(operation.id, reduce(operation, frame));
  }
}

function confirmed(operation, snapshot) {
  const gone = !snapshot && !operation.state && operation.fromEarlier;
  update(operation.id, gone ? { ...operation, label: UNKNOWN } : restore(operation, snapshot ?? null));
}

/** A new subscription replays what may be here already. */
function isRepeat({ operation_id: id, event_id: eventId }) {
  if (eventId === undefined) return false;
  const known = seen.get(id).has(eventId);
  seen.get(id).add(eventId);
  return known;
}

function complain(sentence) {
  write(element("start-error"), sentence);
}

async function start(name, word) {
  const response = await fetch(`/api/tasks/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ word }),
  });
  const answer = await response.json().catch(() => ({})); // a crash is no JSON
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : "That cannot be started");
  const operation = begin(answer.operation_id, answer.title);
  add(operation);
  save();
  subscribe(operation);
}

function offer({ name, title, summary, word }) {
  const item = element("startable-template").content.firstElementChild.cloneNode(true);
  const form = item.querySelector("form");
  const [field, label, button] = ["input", "label", "button"].map((tag) => form.querySelector(tag));
  form.dataset.task = name;
  form.querySelector("h3").textContent = title;
  form.querySelector("p").textContent = summary;
  button.setAttribute("aria-label", `Start: ${title}`);
  if (word !== null) {
    label.hidden = field.disabled = false;
    field.value = word;
  }
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    button.disabled = true;
    try {
      await start(name, field.value);
      complain("");
    } catch (problem) {
      complain(problem instanceof TypeError ? "The web app does not answer" : problem.message);
    } finally {
      button.disabled = false;
    }
  });
  element("startable").append(item);
}

function showConnection(state, sentence) {
  element("connection").dataset.state = state;
  element("connection").textContent = sentence;
}

function pointTo(id, address) {
  element(id).hidden = !address;
  if (address) element(id).href = address;
}

const page = await (await fetch("/api/page")).json();
page.tasks.forEach(offer);
pointTo("flower", page.flower);
pointTo("status", `${page.sidecar.replace(/^ws/, "http")}/status`);
for (const { id, title } of JSON.parse(sessionStorage.getItem(STORE) ?? "[]")) {
  add({ ...begin(id, title), fromEarlier: true });
}
element("clear").addEventListener("click", clearFinished);
const link = new Link(page.sidecar, {
  onOpen: () => operations.forEach((operation) => subscribe(operation)),
  onFrame: receive,
  onState: showConnection,
});
