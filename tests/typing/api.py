"""The public API as a typed project uses it. Checked by mypy, and never run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, assert_type

from celery import Celery

import celery_wsprogress
from celery_wsprogress import (
    StreamingTask,
    create_token,
    install,
    log,
    update_progress,
    update_status,
)
from celery_wsprogress.errors import ConfigurationError, WSProgressError

if TYPE_CHECKING:
    from collections.abc import Callable

app = Celery("typed")
install(app)

version: str = celery_wsprogress.__version__


def index(self: StreamingTask, folder: str) -> int:
    """A task's function, which is given its task."""
    assert_type(self.update_progress(0.5, "half"), None)
    self.update_progress(message="somewhere")
    self.update_progress(current=1, total=10, unit="files", details={"folder": folder})
    self.update_progress(Decimal("0.5"))
    assert_type(self.update_status("uploading", "to the mirror", {"mirror": 1}), None)
    assert_type(self.log("info", "a line", number=1), None)
    self.log(20, "a line")
    assert_type(self.set_metadata(owner="me", rooms=[1, 2]), None)
    return 1


class Nightly(StreamingTask):
    """A task written as a class."""

    name = "typed.nightly"
    stream_result = False

    def run(self, *_: Any) -> None:
        """Do it."""
        self.update_progress(1.0)


def help_along() -> None:
    """Code that has no ``self``."""
    assert_type(update_progress(0.5, "half", details={"a": 1}), None)
    assert_type(update_status("uploading"), None)
    assert_type(log("warning", "slow", seconds=3), None)


def grant(task_id: str) -> str:
    """The web application's side."""
    token = create_token([task_id], expires_in=60)
    assert_type(token, str)
    assert_type(create_token("*", 60, key="k" * 32), str)
    return token


make: Callable[..., str] = create_token

try:
    install(app)
except ConfigurationError as exc:
    assert_type(exc.setting, str)
    assert_type(exc.allowed, str)
except WSProgressError:
    pass

# What must not pass. An ignore that is not needed is an error, too.
create_token(7)  # type: ignore[arg-type]
create_token("op", "soon")  # type: ignore[arg-type]
celery_wsprogress.update_progres(0.5)  # type: ignore[attr-defined]
