/** Watches an operation in Node, with its own WebSocket or that of a package; prints what came. */

import { connect } from "../../celery_wsprogress/static/celery_wsprogress/client.js";

const [, , url, id, name] = process.argv;
const options = name ? { WebSocket: (await import(name)).default } : {};
const client = connect(url, options);
const watch = client.watch(id);
const events = [];
for await (const { event_type: type } of watch) events.push(type);
console.log(JSON.stringify({ result: await watch.done, events }));
client.close();
