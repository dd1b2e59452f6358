"""The example's tasks: what the decorator, and a line or two in a loop, get you.

Each of them does real work on input that every machine has (:mod:`example_app.work`) and says
how far it is. Nothing sleeps to look busy, but one that talks as fast as language models do.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from celery import Celery, Signature, chain, group

from celery_wsprogress import StreamingTask
from example_app.work import fractal, library, orders, programs, talk
from example_app.work.backup import Backup

# CELERY_BROKER_URL and CELERY_RESULT_BACKEND in the environment win over these.
app = Celery("example_app", broker="redis://localhost:6379", backend="redis://localhost:6379")
app.conf.update(
    broker_connection_retry_on_startup=True,
    # A queue of its own: on a broker that others use, too, their messages stay theirs.
    task_default_queue="wsprogress_example",
    task_send_sent_event=True,
    worker_prefetch_multiplier=1,
)

MAX_HITS = 200

DOCSTRING_FILES = 40
WORDS_OF_ANSWER = 120
SECONDS_PER_WORD = 0.03


def pictures() -> Path:
    """Return the folder that the worker writes pictures to and the web app serves them from."""
    named = os.environ.get("EXAMPLE_PICTURES")
    folder = Path(named) if named else Path(tempfile.gettempdir(), "wsprogress-example")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@app.task(base=StreamingTask)
def index_library(self: StreamingTask) -> dict[str, int]:
    """Parse every file of Python's standard library and count what is in it."""
    self.update_progress(message="Looking for files")  # how many? The bar says: unknown
    files = library.source_files()
    totals: Counter[str] = Counter()
    for n, path in enumerate(files, 1):
        self.raise_if_cancelled()
        totals += library.count(path)
        self.update_progress(current=n, total=len(files), unit="files", message=path.name)
    return dict(totals)


@app.task(base=StreamingTask)
def search_library(self: StreamingTask, word: str) -> dict[str, Any]:
    """Read the standard library token by token; every hit is a log line the moment it is found."""
    files = library.source_files()
    found: Counter[str] = Counter()
    for n, path in enumerate(files, 1):
        self.raise_if_cancelled()
        for hit in library.hits(path, word):
            found[hit.kind] += 1
            if found.total() <= MAX_HITS:
                self.log("info", f"{path.name}:{hit.line}  {hit.text}", kind=hit.kind)
        message = f"{found.total():,} hits · {path.name}"
        self.update_progress(current=n, total=len(files), unit="files", message=message)
    if found.total() > MAX_HITS:
        self.log("warning", f"only the first {MAX_HITS} of {found.total():,} hits are shown")
    return {"word": word, "hits": found.total(), **found}


@app.task(base=StreamingTask)
def talk_on(self: StreamingTask, word: str) -> dict[str, int]:
    """Read how docstrings go on, then talk on from a word: bit by bit, as language models do."""
    model = talk.Model()
    for path in self.track(library.source_files()[:DOCSTRING_FILES], "Reading", unit="files"):
        self.raise_if_cancelled()
        model.read(path)
    with self.stream("answer") as out:
        for said in model.talk(word, WORDS_OF_ANSWER):
            self.raise_if_cancelled()
            out.write(f"{said} ")
            time.sleep(SECONDS_PER_WORD)
    return {"words": WORDS_OF_ANSWER}


@app.task(base=StreamingTask)
def render_fractal(self: StreamingTask, place: int | None = None) -> dict[str, Any]:
    """Work out a corner of the Mandelbrot set, tile by tile; the result is a picture."""
    where = random.choice(fractal.PLACES) if place is None else fractal.PLACES[place]
    picture = fractal.Picture(where)
    tiles = picture.tiles()
    for n, tile in enumerate(tiles, 1):
        self.raise_if_cancelled()
        picture.draw(tile)
        message = f"Drawing {picture.place.name}"
        self.update_progress(current=n, total=len(tiles), unit="tiles", message=message)
    file = pictures() / f"{self.request.id}.png"
    file.write_bytes(picture.png())
    return {"picture": f"/pictures/{file.name}", "shows": picture.place.name}


def render_gallery() -> group:
    """Render a picture of each corner at the same time: a group of tasks, watched as one."""
    return group(render_fractal.s(place) for place in range(len(fractal.PLACES)))


@app.task(base=StreamingTask)
def divide_library(self: StreamingTask, parts: int) -> list[list[str]]:
    """Deal the files of the standard library out, the largest first."""
    files = sorted(library.source_files(), key=lambda path: -path.stat().st_size)
    self.update_progress(message=f"{len(files):,} files in {parts} parts")
    return [[str(path) for path in files[first::parts]] for first in range(parts)]


@app.task(base=StreamingTask)
def measure_part(self: StreamingTask, parts: list[list[str]], part: int) -> list[tuple[str, int]]:
    """Count the functions and classes of each file of a part."""
    sizes: list[tuple[str, int]] = []
    for n, name in enumerate(parts[part], 1):
        self.raise_if_cancelled()
        path = Path(name)
        found = library.count(path)
        sizes.append((path.stem, found["functions"] + found["classes"]))
        self.update_progress(current=n, total=len(parts[part]), unit="files", message=path.name)
    return sizes


@app.task(base=StreamingTask)
def rank_part(self: StreamingTask, sizes: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Keep the ten largest modules of a part."""
    self.update_progress(message="Comparing")
    return sorted(sizes, key=lambda size: -size[1])[:10]


@app.task(base=StreamingTask)
def join_ranks(self: StreamingTask, ranks: list[list[tuple[str, int]]]) -> dict[str, int]:
    """Find the largest modules of all parts."""
    largest = sorted((one for rank in ranks for one in rank), key=lambda size: -size[1])[:10]
    self.update_progress(message="Found them")
    return dict(largest)


def rank_library() -> Signature:
    """Find the largest modules: a chain around a group of chains, watched as one workflow."""
    parts = range(4)
    measure = group(chain(measure_part.s(part), rank_part.s()) for part in parts)
    return chain(divide_library.s(len(parts)), measure, join_ranks.s())


@app.task(base=StreamingTask)
def write_program(self: StreamingTask) -> dict[str, Any]:
    """Write a program from a specification, run it, then prove that its checks would notice."""
    wanted = programs.SPECIFICATION

    self.update_status("generating", f"{len(wanted)} functions from their formulas")
    functions = [programs.write_function(each) for each in wanted]
    checks = [programs.write_checks(each) for each in wanted]
    for n, function in enumerate(functions):
        compile(function, wanted[n].name, "exec")
        self.log("debug", function)
        self.update_progress(0.1 * (n + 1) / len(wanted), wanted[n].name)

    self.update_status("validating", "Running the program")
    verdict = programs.run(programs.assemble(functions, checks))
    if not verdict.passed:
        raise RuntimeError(verdict.output)
    self.log("info", verdict.output)

    self.update_status("mutating", "Breaking one thing at a time")
    caught = Counter[bool]()
    broken = [(n, wrong) for n, right in enumerate(functions) for wrong in programs.mutants(right)]
    for done, (n, wrong) in enumerate(broken, 1):
        verdict = programs.run(programs.assemble([wrong], [checks[n]]))
        caught[not verdict.passed] += 1
        if verdict.passed:
            self.log("warning", f"not noticed: {wrong.splitlines()[-1].strip()}")
        self.update_progress(0.1 + 0.9 * done / len(broken), f"{caught[True]} faults noticed")
    return {"functions": len(functions), "faults": len(broken), "noticed": caught[True]}


@app.task(base=StreamingTask, max_retries=5)
def import_orders(self: StreamingTask) -> dict[str, Any]:
    """Import a CSV file from a source that breaks off twice; the task retries until it is in."""
    ledger = orders.Ledger()
    try:
        for n, row in enumerate(orders.rows(orders.download(self.request.retries)), 1):
            ledger.add(row)
            # For every single row: most of these calls only compare a clock.
            self.update_progress(current=n, total=orders.ROWS, unit="rows", message=row["day"])
    except orders.SourceUnavailableError as exc:
        self.log("warning", str(exc))
        raise self.retry(exc=exc, countdown=2) from exc
    return {"rows": n, "totals": ledger.totals()}


@app.task(base=StreamingTask)
def check_backup(self: StreamingTask) -> dict[str, int]:
    """Pack the standard library and read it back. One byte is damaged, so this one fails."""
    files = library.source_files()
    backup = Backup(library.root())
    self.update_status("packing")
    for n, path in enumerate(files, 1):
        backup.add(path)
        self.update_progress(0.7 * n / len(files), path.name)
    backup.damage()
    backup.close()

    self.update_status("verifying")
    size = 0
    for n, name in enumerate(backup.names(), 1):
        size += backup.verify(name)
        self.update_progress(0.7 + 0.3 * n / len(files), name)
    return {"files": len(files), "bytes": size}
