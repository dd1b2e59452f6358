"""A task that says what a test dictates."""

from __future__ import annotations


class Dictation:
    """A task that logs what is written into a file.

    Args:
        app: Of :mod:`scenario`.
        file: Where it is written.
    """

    def __init__(self, app, file):
        self.file = file
        self.lines = []
        file.touch()
        self.id = app.tasks["scenario.dictated"].delay(str(file)).id

    def say(self, count):
        self.lines += [f"line {len(self.lines) + number}" for number in range(count)]
        self.file.write_text("".join(f"{line}\n" for line in self.lines))

    def end(self):
        with self.file.open("a") as file:
            file.write("end\n")
