"""The example's web app: it serves the pages, starts tasks, and hands out their pictures.

All that it knows of progress is how to start a task or a workflow and tell the page which of the
two it is. The page learns the id, and watches that at the sidecar itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from celery import Task
from celery.result import GroupResult
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, StringConstraints
from starlette.middleware.trustedhost import TrustedHostMiddleware

import celery_wsprogress
from example_app import tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = Path(__file__).parent / "page"
REACT = Path(__file__).parent / "react"
SIDECAR = os.environ.get("EXAMPLE_SIDECAR_URL", "ws://localhost:8765")
SIDECAR_OVER_HTTP = SIDECAR.replace("ws", "http", 1)
BUILT = REACT / "build" / "page.js"
FLOWER = os.environ.get("EXAMPLE_FLOWER_URL", "")


class Startable(NamedTuple):
    """What a page may start."""

    task: Any
    """A task, or a function that makes a workflow of some."""
    title: str
    word: str | None = None
    """What to put into the word field; None where the task takes no word."""


STARTABLE = {
    entry.task.__name__: entry
    for entry in (
        Startable(tasks.index_library, "Index the library"),
        Startable(tasks.search_library, "Search the library", word="coroutine"),
        Startable(tasks.talk_on, "Talk on", word="coroutine"),
        Startable(tasks.render_fractal, "Render a fractal"),
        Startable(tasks.render_gallery, "Render a gallery"),
        Startable(tasks.rank_library, "Rank the library"),
        Startable(tasks.write_program, "Write a program"),
        Startable(tasks.import_orders, "Import orders"),
        Startable(tasks.check_backup, "Check a backup"),
    )
}


class Start(BaseModel):
    """What the page sends to start a task."""

    word: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""


app = FastAPI(title="celery-wsprogress example", openapi_url=None)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]"])


@app.middleware("http")
async def say_what_the_page_may_do(
    request: Request, answer: Callable[[Request], Awaitable[Response]]
) -> Response:
    """No foreign code, no inline code, and no connection but to here and to the sidecar."""
    response = await answer(request)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' {SIDECAR_OVER_HTTP}; "
        "style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {SIDECAR}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@app.get("/api/page")
def describe() -> dict[str, Any]:
    """Tell the page what it can start, and where the sidecar and Flower are."""
    startable = [
        {"name": name, "title": entry.title, "summary": entry.task.__doc__, "word": entry.word}
        for name, entry in STARTABLE.items()
    ]
    return {"sidecar": SIDECAR, "flower": FLOWER, "tasks": startable}


@app.post("/api/tasks/{name}", status_code=202)
def start(name: str, given: Start) -> dict[str, str]:
    """Start a task, a group or a workflow, and return its id, by which it is watched."""
    entry = STARTABLE.get(name)
    if entry is None:
        raise HTTPException(404, "There is no such task")
    if entry.word is not None and not given.word:
        raise HTTPException(422, "A word is needed")
    title = entry.title if entry.word is None else f"{entry.title} for “{given.word}”"
    task = entry.task
    words = [] if entry.word is None else [given.word]
    signature = task.s(*words) if isinstance(task, Task) else task()
    try:
        started = celery_wsprogress.start(signature, metadata={"title": title})
    except OperationalError as exc:
        raise HTTPException(503, "The broker does not answer") from exc
    if isinstance(started.result, GroupResult):
        # Each member has a result of its own, which the page shows.
        return {"group_id": started.id, "title": title}
    return {"workflow_id" if started.is_workflow else "task_id": started.id, "title": title}


@app.get("/pictures/{name}")
def picture(name: str) -> FileResponse:
    """Serve a picture that a task has rendered."""
    file = tasks.pictures() / name
    if not re.fullmatch(r"[0-9a-f-]{36}\.png", name) or not file.is_file():
        raise HTTPException(404, "There is no such picture")
    return FileResponse(file, media_type="image/png")


# The pages.


@app.get("/")
def page() -> Response:
    """Serve the page."""
    return _placed(PAGE / "page.html", "text/html")


@app.get("/page.js")
def script() -> Response:
    """Serve the page's script."""
    return _placed(PAGE / "page.js", "text/javascript")


@app.get("/page.css")
def style() -> FileResponse:
    """Serve the style of both pages."""
    return FileResponse(PAGE / "page.css")


@app.get("/react")
def react_page() -> FileResponse:
    """Serve the page in React, or where it was not built the one that says how to do that."""
    return FileResponse(REACT / ("page.html" if BUILT.is_file() else "missing.html"))


@app.get("/react.js")
def react_script() -> FileResponse:
    """Serve the script of that page, with React in it."""
    if not BUILT.is_file():
        raise HTTPException(404, "It was not built")
    return FileResponse(BUILT)


def _placed(file: Path, media_type: str) -> Response:
    """A file, with the address that the sidecar has: its usual port may have been taken."""
    text = file.read_text().replace("http://localhost:8765", SIDECAR_OVER_HTTP)
    return Response(text, media_type=f"{media_type}; charset=utf-8")
