"""A workflow in the log of a test's sidecar."""

from __future__ import annotations

import time
import uuid

from support.sample_events import completed, error, plan, progress, queued, result, status


class Canvas:
    """A workflow of its own in the log: two tasks in a group, and one behind them."""

    def __init__(self, write):
        name = uuid.uuid4().hex[:8]
        self.write = write
        self.begun = 0.0
        self.ids = [f"{name}-{one}" for one in "abc"]
        self.a, self.b, self.c = self.ids
        self.nodes = [
            ("chain", -1),
            ("group", 0, f"{name}-g"),
            *[("task", 1, one, f"shop.{one[-1]}") for one in self.ids[:2]],
            ("task", 0, self.c, "shop.c"),
        ]

    def plan(self):
        self.write(plan(*self.nodes, held=self.c, at=self.begun))

    def start(self, task_id, **more):
        kind = more.pop("kind", f"shop.{task_id[-1]}")
        said = {"operation_id": task_id, "publication": f"p-{task_id}", "operation_type": kind}
        run = {"run": f"run-{task_id}", "at": 2.0, "metadata": {}, **said, **more}
        self.write(queued(at=self.begun + 1.0, **said, **more), status("started", **run))

    def move(self, task_id, fraction, **more):
        self.write(
            progress(
                fraction, operation_id=task_id, run=f"run-{task_id}", at=self.begun + 3.0, **more
            )
        )

    def end(self, task_id, value=None):
        run = f"run-{task_id}"
        self.write(
            result(value, operation_id=task_id, run=run, at=self.begun + 4.0),
            completed(operation_id=task_id, run=run, at=self.begun + 4.0, duration=2.0),
        )

    def fail(self, task_id):
        self.write(error("broke", operation_id=task_id, run=f"run-{task_id}", at=self.begun + 4.0))

    def show_every_state(self):
        """Make it a larger one of just now, in which every state is seen."""
        name, self.begun = self.c, time.time() - 30.0
        tasks = {
            one: f"{name}-{one}" for one in ("fetch", "thumb", "video", "audio", "text", "late")
        }
        nodes = [
            ("chain", -1),
            ("task", 0, tasks["fetch"], "shop.media.fetch"),
            ("group", 0, f"{name}-g"),
            ("task", 2, tasks["thumb"], "shop.media.make_thumbnails"),
            ("chain", 2),
            ("task", 4, tasks["video"], "shop.media.encode_video"),
            ("task", 4, tasks["audio"], "shop.media.normalize_the_audio_of_all_tracks"),
            ("task", 2, tasks["text"], "shop.media.transcribe"),
            ("task", 0, name, "shop.media.publish"),
        ]
        self.write(plan(*nodes, held=name, at=self.begun))
        for one in ("fetch", "thumb", "video", "text"):
            self.start(tasks[one], kind=f"shop.media.{one}")
        self.end(tasks["fetch"])
        self.move(tasks["thumb"], 0.64, message="image 16 of 25")
        self.write(
            error(
                "stopped",
                operation_id=tasks["text"],
                run=f"run-{tasks['text']}",
                status="cancelled",
            )
        )
        self.fail(tasks["video"])
        self.write(error("broke", operation_id=tasks["audio"], run="never", at=self.begun + 4.0))
        return name
