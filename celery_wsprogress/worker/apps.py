"""What is kept about each Celery app of a process: its settings and its publisher.

Celery's signals are one set per process, its apps may be many, so every handler asks here
first, with the app of the signal's sender.
"""

from __future__ import annotations

import functools
import logging
import os
import weakref
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress import brokers, misnomers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker.publishing.publishers import open_publisher
from celery_wsprogress.worker.signals.eager_runs import EagerRuns, runs_in_tests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.worker.publishing.publisher import Publisher

logger = logging.getLogger(__name__)

#: Celery's own housekeeping (celery 5.7, celery/app/builtins.py), which nobody calls or waits for,
#: also where all tasks of an app are of our class. Everything else it brings is somebody's
#: operation: ``celery.map`` and ``celery.starmap`` have their caller, and ``celery.accumulate`` is
#: the body that stands for a group and has the id of the task that was replaced by one.
_INTERNAL_TASKS: Final = frozenset(
    {
        "celery.backend_cleanup",
        "celery.chain",
        "celery.chord",
        "celery.chord_unlock",
        "celery.group",
    }
)


class AppPublishing:
    """How one app reports.

    Args:
        app: The Celery app. It is not kept alive.
        settings: Its settings.
    """

    def __init__(self, app: Any, settings: WorkerSettings) -> None:
        self.settings = settings
        self._app = weakref.ref(app)
        self._publishers: list[Publisher] = []
        self._by_name: dict[str, bool] = {}
        self.eager_runs = EagerRuns()
        """Those that go on in this process."""

    @property
    def app(self) -> Any:
        """The app; None when it is gone."""
        return self._app()

    @property
    def publisher(self) -> Publisher:
        """The app's publisher in this process, made when it is first asked for."""
        if not self._publishers:
            # Of two threads that come here at once each makes one; both take the first, and the
            # other, which nobody ever gives anything, has no thread.
            self._publishers.append(self._open_publisher())
        return self._publishers[0]

    def _open_publisher(self) -> Publisher:
        app = self._app()
        publisher = open_publisher(_address_of(app, self.settings), self.settings)
        # The flusher thread keeps its publisher alive, so the app's end must be its end. Not the
        # end of the process: that waits until the last events have left, and is signals' affair.
        weakref.finalize(app, publisher.close).atexit = False
        return publisher

    def publishes(self, name: str, *, streaming: bool, header: Mapping[str, Any]) -> bool:
        """Whether the life of this task is published.

        Args:
            name: The task's name.
            streaming: Whether it is a ``StreamingTask``.
            header: Our header of its message: a task that stands in for another one (after
                ``replace``) is followed because the other one was.
        """
        if not self.settings.enabled or name in _INTERNAL_TASKS:
            return False
        return streaming or bool(header.get("follow")) or self._matches(name)

    @property
    def publishes_eager(self) -> bool:
        """Whether runs that no worker has received are published: as is said, else not in tests."""
        choice = self.settings.eager
        return not runs_in_tests() if choice is None else choice

    def _matches(self, name: str) -> bool:
        known = self._by_name.get(name)
        if known is None:
            known = self._by_name[name] = _selected(self.settings.tasks, name)
        return known


def _selected(tasks: str | tuple[str, ...], name: str) -> bool:
    if tasks == "streaming":
        return False
    return tasks == "all" or any(fnmatchcase(name, pattern) for pattern in tasks)


def read_settings(app: Any) -> WorkerSettings:
    """The app's settings, from its configuration, then the environment.

    Raises:
        ConfigurationError: one of them is bad.
    """
    return WorkerSettings.read(app, os.environ)


_by_app: weakref.WeakKeyDictionary[Any, AppPublishing] = weakref.WeakKeyDictionary()


def publishing_of(app: Any) -> AppPublishing:
    """How this app reports. A bad setting is logged once and switches the app's events off."""
    app = unproxied(app)
    found = _by_app.get(app)
    if found is None:
        found = _by_app.setdefault(app, AppPublishing(app, _settings_or_off(app)))
    return found


def unproxied(app: Any) -> Any:
    """The app behind the proxy by which tasks know it at times."""
    return getattr(app, "_get_current_object", lambda: app)()


@functools.cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)


def _settings_or_off(app: Any) -> WorkerSettings:
    for sentence in (*misnomers.in_conf(app.conf), *misnomers.in_environment(os.environ)):
        _warn_once(sentence)
    try:
        settings = read_settings(app)
        _prepare_broker(app, settings)
    except ConfigurationError as exc:
        logger.error("Task events are switched off: %s", exc)  # noqa: TRY400 - no traceback
        return WorkerSettings(enabled=False)
    return settings


def _prepare_broker(app: Any, settings: WorkerSettings) -> None:
    """Import what the events' broker needs, and refuse an address that can never work.

    A module that another thread imports while this process forks can never be imported in the
    child, so the broker's is imported here and not by the flusher thread.

    Raises:
        ConfigurationError: the address is none.
    """
    if not settings.enabled:
        return
    try:
        brokers.prepare(_address_of(app, settings))
    except ConfigurationError:
        raise
    except Exception:
        logger.debug("The events' broker could not be prepared", exc_info=True)


def _address_of(app: Any, settings: WorkerSettings) -> brokers.BrokerAddress:
    return broker_address(
        app,
        settings.url,
        settings.exchange,
        write=True,
        log_bytes=settings.log_bytes,
        options=settings.transport_options,
    )
