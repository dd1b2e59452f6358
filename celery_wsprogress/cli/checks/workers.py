"""Ask the workers of an application what they run, and whether its events are followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers.failure import describe
from celery_wsprogress.cli.checks.findings import failed, ok, warning
from celery_wsprogress.common_settings import EXCHANGE
from celery_wsprogress.printable import escape_control
from celery_wsprogress.worker.apps import publishing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from celery_wsprogress.cli.checks.findings import Finding

PART: Final = "workers"

MARK: Final = "expose_args"
"""An attribute of every ``StreamingTask`` and of no other task. A worker does not tell of those
that begin with an underscore (Celery 5.7, celery/worker/control.py, ``registered``)."""


FIRST_WAIT: Final = 1.0
"""Seconds to wait for answers at first; then twice as long."""


def check_workers(app: Any, exchange: str, timeout: float) -> Iterator[Finding]:
    """Ask all workers what tasks they run, and for their settings.

    A worker's own environment is not known here; its configuration is.

    Args:
        app: The Celery application.
        exchange: The exchange of the events, as this process reads it.
        timeout: Seconds to wait for each answer.
    """
    try:
        found = _present(app, timeout)
        # With the number of answers nobody waits longer than they take.
        inspect = app.control.inspect(found, timeout=timeout, limit=len(found))
        registered: Mapping[str, Sequence[str]] = inspect.registered(MARK) or {} if found else {}
        confs: Mapping[str, Mapping[str, Any]] = inspect.conf() or {} if registered else {}
    except Exception as exc:  # noqa: BLE001 - each client library has its own
        yield failed(PART, f"they cannot be asked ({describe(exc)})", "Check the broker's log")
        return
    if not registered:
        text = f"none has answered within {timeout:g} s"
        advice = "Start one on this broker: celery -A … worker"
        yield failed(PART, text, advice)
        return
    names = ", ".join(sorted(registered))
    followed = sorted({name for tasks in registered.values() for name in _followed(app, tasks)})
    if followed:
        number = len(followed)
        told = "one task is followed," if number == 1 else f"{number:,} tasks are followed, such as"
        yield ok(PART, f"{names}: {told} {followed[0]}")
    else:
        text = f"{names}: no task of theirs is followed"
        advice = "Use @app.task(base=StreamingTask), or set wsprogress_tasks"
        yield failed(PART, text, advice)
    yield from _check_confs(confs, exchange)


def _present(app: Any, timeout: float) -> list[str]:
    """Return the names of the workers that answer, as soon as any does."""
    wait = FIRST_WAIT
    deadline = time.monotonic() + timeout
    while True:
        answers = app.control.ping(timeout=min(wait, timeout))
        wait *= 2
        if answers or time.monotonic() + wait > deadline:
            return sorted({name for one in answers for name in one})


def _followed(app: Any, tasks: Sequence[str]) -> Iterator[str]:
    """Yield the names of the tasks that are followed.

    Args:
        app: The Celery application.
        tasks: The worker's answer: ``name``, or ``name [attribute=value]``
            (celery/worker/control.py, ``registered``).
    """
    publishing = publishing_of(app)
    for one in tasks:
        name, _, marked = one.partition(" [")
        if publishing.publishes(name, streaming=bool(marked), header={}):
            yield escape_control(name)


def _check_confs(confs: Mapping[str, Mapping[str, Any]], exchange: str) -> Iterator[Finding]:
    for worker, conf in sorted(confs.items()):
        theirs = conf.get("wsprogress_exchange") or EXCHANGE
        if theirs != exchange:
            text = f"{worker} writes to the exchange {theirs}, and not to {exchange}"
            yield warning(
                PART, text, "wsprogress_exchange must be the same for workers and sidecar"
            )
        if conf.get("wsprogress_enabled") is False:
            yield failed(PART, f"{worker} has wsprogress_enabled = False", "Set it to True there")
