// What users' type checkers see. Checked, and not run.

import {
  CommandError,
  connect,
  OperationError,
  type Client,
  type EventOf,
  type Operation,
  type ProgressEvent,
} from "celery-wsprogress";
import { CeleryProgress as Element } from "celery-wsprogress/element.js";
import { watchSteps } from "celery-wsprogress/steps.js";
import { CeleryProgress, useOperation, useOperations, useStream } from "celery-wsprogress/react.js";

export async function page(): Promise<number> {
  const client: Client = connect("ws://localhost:8765", { getToken: async () => "token" });
  const stop: () => void = client.observe(() => console.log(client.state === "open", client.lost?.retryAt));
  const watch = client.watch("id", {
    signal: AbortSignal.timeout(1000),
    max_rate: 5,
    onProgress: ({ data }, operation) => console.log(data.progress, operation.eta?.toFixed(1)),
    onLog: ({ data }) => console.log(data.message, data.level === "warning"),
    onCompleted: ({ data }) => console.log(data.duration?.toFixed(1)),
    onChange: (operation, event) => console.log(operation.state, event?.event_type),
  });
  for await (const event of watch) console.log(event.event_type, event.timestamp.toFixed());
  try {
    await watch.done;
  } catch (error) {
    if (error instanceof OperationError) console.log(error.errorType, error.cancelled);
    if (error instanceof CommandError) console.log(error.code);
  }
  // @ts-expect-error a selector has no such field
  client.monitor({ name: "x" });
  const monitor = client.monitor({ tag: "nightly" }, { limit: 10 });
  await monitor.ready;
  const { operations, next } = await client.list({ state: "running", limit: 10 });
  const { events, complete } = await client.history("id", { limit: 5 });
  const many = await client.watchMany(["a", "b"]).done;
  console.log(next?.length, complete, events.length, many.get("a")?.status);
  const whole = client.watch("id", { workflow: true });
  const tree = await client.tree("id");
  const steps = watchSteps(client, "id", { onStep: (operation) => console.log(operation.message) });
  steps.observe(() => console.log(steps.tree.root.children[0]?.state, whole.operation?.details.total));
  console.log(tree.total, tree.nodes[0]?.kind, client.monitor({ steps_of: "id" }).missed);
  steps.close();
  stop();
  client.close();
  return operations.length + monitor.operations.size + (await client.stats()).subscriptions;
}

export function textOf(event: ProgressEvent): string {
  switch (event.event_type) {
    case "progress":
      return `${event.data.progress.toFixed(2)} ${event.data.message}`;
    case "status":
      return event.data.status;
    case "error":
      // @ts-expect-error an error has no progress
      return `${event.data.error_type}: ${event.data.progress}`;
    default:
      return event.event_type;
  }
}

export function barOfPage(): number {
  const found = document.querySelector("celery-progress");
  addEventListener("celery-log", ({ detail }) => console.log(detail.event.data.message, detail.replayed));
  found?.addEventListener("celery-refused", ({ detail }) => console.log(detail.error.message));
  document.createElement("celery-progress").getToken = () => "token";
  // @ts-expect-error the element has no such property
  console.log(found?.progress);
  return found?.operation?.progress ?? 0;
}

export function Markup({ ids }: { ids: string[] }) {
  return <celery-progress task-ids={ids.join(" ")} token-url="/token" no-result className="bar" />;
}

export function bar(element: Element): string | undefined {
  element.getToken = () => "token";
  return element.operation?.status;
}

export function Component({ id }: { id: string }) {
  const { operation, result, connection } = useOperation(id, { onCompleted: () => {}, max_rate: 1 });
  const { operations, ready } = useOperations({ operation_type: "orders.*" }, { limit: 5 });
  console.log(result, connection, ready, operations.at(0)?.progress);
  const { text, chunks, closed, missing } = useStream(id, "answer");
  console.log(text.length, chunks.at(0), closed && missing);
  const { operation: whole } = useOperation({ workflow: id });
  console.log(whole?.details.total, <CeleryProgress workflowId={id} expanded />);
  return <CeleryProgress taskId={id} label={operation?.operation_type} stream="answer" onResult={() => {}} />;
}

export function sizeOf(operation: Operation, { data }: EventOf<"progress">): number {
  return (operation.total ?? 0) + (data.total ?? 0);
}
