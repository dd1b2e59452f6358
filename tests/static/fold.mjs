/** Folds lists of frames, one a line, and prints the snapshot that each comes to. */

import { createInterface } from "node:readline";

import { reduce } from "../../celery_wsprogress/static/celery_wsprogress/client/reducer.js";

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(JSON.parse(line).reduce(reduce, null)));
}
