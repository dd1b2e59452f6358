/* The example's page in React: everything that runs, whoever started it. */

import { createRoot } from "react-dom/client";
import { CeleryProgress, useOperations } from "celery-wsprogress/react.js";

const { sidecar, tasks } = await (await fetch("/api/page")).json();

function App() {
  return (
    <main>
      <section>
        <h2>Start a task</h2>
        <div className="buttons">
          {tasks.map((task) => <Start key={task.name} {...task} />)}
        </div>
      </section>
      <Operations />
    </main>
  );
}

function Start({ name, title, word }) {
  const body = JSON.stringify({ word: word ?? "" });
  const headers = { "Content-Type": "application/json" };
  const start = () => fetch(`/api/tasks/${name}`, { method: "POST", headers, body });
  return <button onClick={start}>{title}</button>;
}

function Operations() {
  const selector = { operation_type: "example_app.*" };
  const { operations, connection } = useOperations(selector, { url: sidecar, limit: 20 });
  const running = operations.filter(({ state }) => state === "running");
  return (
    <section>
      <h2>{connection === "open" ? `${running.length} of ${operations.length} running` : connection}</h2>
      <ol id="operations">
        {operations.map(({ operation_id: id, metadata }) => (
          <li className="card" key={id}>
            <CeleryProgress taskId={id} url={sidecar} label={metadata.title} stream="answer" />
          </li>
        ))}
      </ol>
      <p className="empty">Nothing was started yet.</p>
    </section>
  );
}

createRoot(document.getElementById("root")).render(<App />);
