"""An operation made by ``ws_manager``: what ``scenario.steps`` does, without a worker.

Prints the operation's id and goes on once the file it was given exists.
"""

import asyncio
import sys
from pathlib import Path

from celery_wsprogress import ws_manager


async def main(gate):
    operation_id = await ws_manager.create_operation("managed", metadata={"gate": str(gate)})
    print(operation_id, flush=True)
    await ws_manager.emit_progress(operation_id, 0.25, "quarter", details={"part": 1})
    await ws_manager.emit_log(operation_id, "warning", "careful")
    while not gate.exists():  # noqa: ASYNC110 - a file tells nobody
        await asyncio.sleep(0.01)
    await ws_manager.emit_progress(operation_id, 0.75, "three quarters")
    await ws_manager.emit_result(operation_id, {"parts": 4})


asyncio.run(main(Path(sys.argv[1])))
