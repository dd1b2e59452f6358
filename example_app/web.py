"""The example's web app: it serves the page, starts tasks, and hands out their pictures.

It knows nothing of progress. The page learns the id of a task from it and the address of the
sidecar, and talks to the sidecar itself.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from kombu.exceptions import OperationalError
from pydantic import BaseModel, StringConstraints
from starlette.middleware.trustedhost import TrustedHostMiddleware

from example_app import tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = Path(__file__).parent / "page"
SIDECAR = os.environ.get("EXAMPLE_SIDECAR_URL", "ws://localhost:8765")
FLOWER = os.environ.get("EXAMPLE_FLOWER_URL", "")


class Startable(NamedTuple):
    """A task that the page may start."""

    task: Any
    title: str
    word: str | None = None
    """What to put into the word field; None where the task takes no word."""


STARTABLE = {
    entry.task.__name__: entry
    for entry in (
        Startable(tasks.index_library, "Index the library"),
        Startable(tasks.search_library, "Search the library", word="coroutine"),
        Startable(tasks.render_fractal, "Render a fractal"),
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
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
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
    """Start a task and return its id, which is the id of the operation to watch."""
    entry = STARTABLE.get(name)
    if entry is None:
        raise HTTPException(404, "There is no such task")
    if entry.word is not None and not given.word:
        raise HTTPException(422, "A word is needed")
    title = entry.title if entry.word is None else f"{entry.title} for “{given.word}”"
    try:
        sent = entry.task.apply_async(
            args=[given.word] if entry.word is not None else [],
            headers={"wsprogress": {"metadata": {"title": title}}},
        )
    except OperationalError as exc:
        raise HTTPException(503, "The broker does not answer") from exc
    return {"operation_id": sent.id, "title": title}


@app.get("/pictures/{name}")
def picture(name: str) -> FileResponse:
    """Serve a picture that a task has rendered."""
    file = tasks.pictures() / name
    if not re.fullmatch(r"[0-9a-f-]{36}\.png", name) or not file.is_file():
        raise HTTPException(404, "There is no such picture")
    return FileResponse(file, media_type="image/png")


@app.get("/")
def page() -> FileResponse:
    """Serve the page."""
    return FileResponse(PAGE / "page.html")


@app.get("/page.{kind}")
def part_of_page(kind: str) -> FileResponse:
    """Serve the page's script and its style."""
    if kind not in {"js", "css"}:
        raise HTTPException(404, "There is no such file")
    return FileResponse(PAGE / f"page.{kind}")
