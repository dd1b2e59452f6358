/** Folds trees of workflows, one a line, and prints the nodes that each comes to. */

import { createInterface } from "node:readline";

import { WorkflowTree } from "../../celery_wsprogress/static/celery_wsprogress/client/workflow_tree.js";

const described = ({ kind, id, state, progress, total, ended, failed, children }) => [
  { kind, id, state, progress, total, ended, failed },
  ...children.flatMap(described),
];

for await (const line of createInterface({ input: process.stdin })) {
  const { pages, operations } = JSON.parse(line);
  const tree = new WorkflowTree();
  for (const page of pages) tree.update(page);
  for (const operation of operations) tree.report(operation);
  console.log(JSON.stringify(described(tree.root)));
}
