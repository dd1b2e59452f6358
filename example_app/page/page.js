/* The example's page. What follows a task is <celery-progress>; here is what is around it: forms
 * that start tasks, a card for each that was started, and what the cards show beside the bar. */

import { connect } from "http://localhost:8765/client.js";

const find = (selector, root = document) => root.querySelector(selector);
const copyOf = (template) => find(template).content.firstElementChild.cloneNode(true);

const operations = find("#operations");
const { sidecar, flower, tasks } = await (await fetch("/api/page")).json();

// ---------------------------------------------------------------- what can be started

for (const { name, title, summary, word } of tasks) {
  const form = copyOf("#form");
  form.dataset.task = name;
  find("h3", form).textContent = title;
  find("p", form).textContent = summary;
  find("button", form).setAttribute("aria-label", `Start: ${title}`);
  if (word === null) find("input", form).remove();
  else form.word.value = word;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start(name, form.word?.value);
  });
  find("#startable").append(form);
}

async function start(name, word) {
  const body = JSON.stringify({ word });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`/api/tasks/${name}`, { method: "POST", headers, body }).catch(() => null);
  const said = await answer?.json().catch(() => null); // a crash is no JSON
  find("#problem").textContent = answer?.ok ? "" : (said?.detail ?? "The web app does not answer");
  if (!answer?.ok) return;
  show(said);
  keep();
}

// ---------------------------------------------------------------- what was started

/** A card for what the web app has started: a task, a group or a workflow. */
function show(started) {
  const card = copyOf("#card");
  const bar = find("celery-progress", card);
  if (started.group_id) bar.setAttribute("group-id", started.group_id);
  else if (started.workflow_id) bar.setAttribute("workflow-id", started.workflow_id);
  else bar.setAttribute("task-id", started.task_id);
  find(".title", bar).textContent = started.title;
  card.started = started;
  operations.prepend(card);
}

/** Keep the ids for a reload: everything else comes back from the sidecar. */
function keep() {
  const shown = [...operations.children].map((card) => card.started);
  sessionStorage.setItem("started", JSON.stringify(shown.reverse()));
}

JSON.parse(sessionStorage.getItem("started") ?? "[]").forEach(show);

find("#clear").addEventListener("click", () => {
  // Without a state is what the sidecar has not heard of: it may be over for long.
  const over = ":is([state=completed], [state=error], [state=cancelled], :not([state]))";
  for (const bar of operations.querySelectorAll(`celery-progress${over}`)) bar.closest("li").remove();
  keep();
});

// ---------------------------------------------------------------- what a card shows beside its bar

operations.addEventListener("celery-log", ({ target, detail }) => {
  const { level, message } = detail.event.data;
  const log = find(".log", target.closest("li"));
  const lines = find("ol", log);
  const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 8;
  lines.append(Object.assign(document.createElement("li"), { className: level, textContent: message }));
  find("summary", log).textContent = `Log (${lines.children.length})`;
  log.hidden = false;
  if (atEnd) lines.scrollTop = lines.scrollHeight;
});

operations.addEventListener("celery-change", ({ target: bar, detail: { operation } }) => {
  const { operation_id: id, operation_type: type, state, attempt, message } = operation;
  find(".attempt", bar).textContent = attempt > 1 ? `attempt ${attempt}` : "";
  const isPicture = state === "completed" && type === "example_app.tasks.render_fractal";
  if (!isPicture || document.getElementById(id)) return;
  const picture = { id, slot: "result", src: `/pictures/${id}.png`, alt: message };
  bar.append(Object.assign(document.createElement("img"), picture));
});

// ---------------------------------------------------------------- the page's head

find("#flower").hidden = !flower;
find("#flower").href = flower;

const client = connect(sidecar);
client.observe(showConnection);
showConnection();

function showConnection() {
  const shown = find("#connection");
  shown.dataset.state = client.state;
  shown.textContent = client.error?.message ?? (client.state === "open" ? "connected" : client.state);
}
