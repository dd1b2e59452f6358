/** Watches an operation in Node, with the WebSocket of a package, and prints what came of it. */

import WebSocket from "ws";

import { connect } from "../../celery_wsprogress/static/celery_wsprogress/client.js";

const [, , url, id] = process.argv;
const client = connect(url, { WebSocket });
const watch = client.watch(id);
const events = [];
for await (const { event_type: type } of watch) events.push(type);
console.log(JSON.stringify({ result: await watch.done, events }));
client.close();
