"""Code that knows ``ProgressTracker`` and the callbacks only, with an id and with a wrong one."""

import asyncio

from celery_wsprogress import (
    ProgressTracker,
    create_log_callback,
    create_progress_callback,
    ws_manager,
)


async def read(files, operation_id):
    tracker = ProgressTracker(operation_id, total_steps=len(files))
    for file in files:
        await tracker.step(f"Reading {file}", details={"file": file})
    assert tracker.current_step == tracker.total_steps == len(files)
    return tracker


async def download(progress, log):
    await log("info", "Downloading")
    await progress(0.1, "A tenth", {"bytes": 100})
    await log("warning", "Slow")


async def main():
    tracker = await read(["a", "b", "c"], "nobody-knows-this-id")
    await tracker.complete({"files": 3})

    operation_id = await ws_manager.create_operation("read")
    print(operation_id)
    await download(create_progress_callback(operation_id), create_log_callback(operation_id))
    tracker = await read(["a", "b", "c"], operation_id)
    await tracker.complete({"files": 3})


asyncio.run(main())
