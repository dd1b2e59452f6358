"""Code that knows the in-process server only: start it, look at it, and leave when told to."""

import sys

from celery_wsprogress import (
    WEBSOCKETS_AVAILABLE,
    get_websocket_status,
    is_websocket_running,
    operation,
    start_websocket_background,
    stop_websocket_background,
)

if not WEBSOCKETS_AVAILABLE:
    raise SystemExit("pip install websockets")

server = start_websocket_background(port=0)
assert is_websocket_running()
assert get_websocket_status()["running"]
print(server.url, flush=True)

with operation("wait", operation_id="waiting") as op:
    told = sys.stdin.readline().strip()
    op.result(told)

if told == "stop":
    stop_websocket_background()
    assert not is_websocket_running()
