"""Code that knows ``StreamingMixin`` only: twenty operations of one object at once."""

import asyncio

from celery_wsprogress import StreamingMixin


class Generator(StreamingMixin):
    def __init__(self, model):
        self.model = model

    async def generate(self, number):
        async with self.stream_operation("generate", {"number": number}) as operation_id:
            await self.emit_status("thinking", f"Thinking about {number}")
            for n in range(1, 11):
                await self.emit_progress(n / 10, f"{number}: {n} of 10", {"number": number})
                await self.emit_log("info", f"{number}.{n}")
                await asyncio.sleep(0)
            if number % 5 == 0:
                raise RuntimeError(f"{number} is too round")
            await self.emit_result({"number": number})
        return operation_id

    async def hidden(self):
        await self.emit_progress(0.5, "This is no operation")
        await self.emit_result("nobody's")


async def main():
    generator = Generator("m")
    await generator.hidden()
    found = await asyncio.gather(
        *(generator.generate(number) for number in range(20)), return_exceptions=True
    )
    for one in found:
        print(one)


asyncio.run(main())
