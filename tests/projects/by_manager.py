"""Code that knows ``ws_manager`` only: an operation that ends well, and one that does not."""

import asyncio

from celery_wsprogress import ws_manager


async def generate(prompt):
    operation_id = await ws_manager.create_operation(
        operation_type="generate", metadata={"prompt": prompt}
    )
    print(operation_id, flush=True)
    try:
        await ws_manager.emit_status(operation_id, "thinking", "Thinking", {"model": "m"})
        for n in range(1, 5):
            await ws_manager.emit_progress(operation_id, n / 4, f"Part {n}", details={"part": n})
            await asyncio.sleep(0)
        await ws_manager.emit_log(operation_id, "info", "Nearly done")
        if not prompt:
            raise ValueError("empty prompt")
        await ws_manager.emit_result(operation_id, {"text": prompt.upper()})
    except ValueError as exc:
        await ws_manager.emit_error(operation_id, str(exc), "ValueError")


async def main():
    await generate("hello")
    await generate("")
    await ws_manager.emit_progress("nobody", 0.5, "Nobody listens")
    assert ws_manager.get_operation("nobody") is None
    assert ws_manager.get_active_operations() == []
    assert ws_manager.get_stats()["active_operations"] == 0


asyncio.run(main())
