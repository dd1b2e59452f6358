"""The settings and the publisher of each Celery app of a process.

Celery's signals are shared by all apps of a process, so every handler looks up the app of the
signal's sender here.
"""

from __future__ import annotations

import functools
import logging
import os
import weakref
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress import brokers, misnomers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker.mirror.flower_mirror import open_mirror
from celery_wsprogress.worker.publishing.publishers import open_publisher
from celery_wsprogress.worker.signals.eager_runs import EagerRuns, runs_in_tests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from celery_wsprogress.worker.mirror.flower_mirror import FlowerMirror
    from celery_wsprogress.worker.publishing.publisher import Publisher

logger = logging.getLogger(__name__)

#: Celery's own housekeeping (celery 5.7, celery/app/builtins.py), for which no caller waits. Its
#: others are operations: ``celery.map`` and ``celery.starmap`` have a caller, and
#: ``celery.accumulate`` takes over the id of a task that a group replaces.
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
    """The settings and the publisher of one app.

    Args:
        app: The Celery app. It is not kept alive.
        settings: Its settings.
    """

    def __init__(self, app: Any, settings: WorkerSettings) -> None:
        self.settings = settings
        self._app = weakref.ref(app)
        self._publishers: list[Publisher] = _substitutes[::-1]
        self._mirrors: list[FlowerMirror] = []
        self._by_name: dict[str, bool] = {}
        self.eager_runs = EagerRuns()
        """The app's active eager runs in this process."""

    @property
    def app(self) -> Any:
        """The app; None when it was collected."""
        return self._app()

    @property
    def address(self) -> brokers.BrokerAddress:
        """Where its events go.

        Raises:
            ConfigurationError: the address is invalid.
        """
        return _address_of(self._app(), self.settings)

    @property
    def publisher(self) -> Publisher:
        """The app's publisher in this process, created when first needed."""
        if not self._publishers:
            # Two threads at once create two; both use the first, and the other starts no thread.
            self._publishers.append(self._open_publisher())
        return self._publishers[0]

    def substitute(self, publisher: Publisher) -> None:
        """Give later events to this publisher."""
        self._publishers.insert(0, publisher)

    def restore(self, publisher: Publisher) -> None:
        """Undo :meth:`substitute`."""
        self._publishers = [one for one in self._publishers if one is not publisher]

    def _open_publisher(self) -> Publisher:
        app = self._app()
        publisher = open_publisher(self.address, self.settings)
        # The flusher thread keeps its publisher alive, so the app's end must close it. Not at exit:
        # there the signals' handlers wait until the last events are written.
        weakref.finalize(app, publisher.close).atexit = False
        return publisher

    @property
    def flower_mirror(self) -> FlowerMirror:
        """The app's mirror of progress in this process, created when first needed."""
        if not self._mirrors:
            # As with the publisher: of two, the first is used.
            self._mirrors.append(open_mirror(self._app(), self.settings.idle_time))
        return self._mirrors[0]

    def publishes(self, name: str, *, streaming: bool, header: Mapping[str, Any]) -> bool:
        """Return whether the life cycle of a task is published.

        Args:
            name: The task's name.
            streaming: Whether it is a ``StreamingTask``.
            header: Our header of its message. With ``follow`` the task replaces one that is
                published, and so is published, too.
        """
        if not self.settings.enabled or name in _INTERNAL_TASKS:
            return False
        return streaming or bool(header.get("follow")) or self._matches(name)

    @property
    def publishes_eager(self) -> bool:
        """Whether eager runs are published: as the setting says; without it, except in tests."""
        choice = True if _substitutes else self.settings.eager
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
    """Read the app's settings from its configuration, then the environment.

    Raises:
        ConfigurationError: one of them is invalid.
    """
    return WorkerSettings.read(app, os.environ)


_by_app: weakref.WeakKeyDictionary[Any, AppPublishing] = weakref.WeakKeyDictionary()


def publishing_of(app: Any) -> AppPublishing:
    """Return the settings and the publisher of an app. An invalid setting switches events off."""
    app = unproxied(app)
    found = _by_app.get(app)
    if found is None:
        found = _by_app.setdefault(app, AppPublishing(app, _settings_or_off(app)))
    return found


_substitutes: list[Publisher] = []
"""The publishers that get the events of all apps instead of their own, the newest last."""


@contextmanager
def substituted_publisher(publisher: Publisher) -> Iterator[None]:
    """Give the events of all apps, of eager runs, too, to this publisher: for tests."""
    _substitutes.append(publisher)
    for known in list(_by_app.values()):
        known.substitute(publisher)
    try:
        yield
    finally:
        _substitutes.remove(publisher)
        for known in list(_by_app.values()):
            known.restore(publisher)


def unproxied(app: Any) -> Any:
    """Return the app behind a proxy, such as ``current_app``."""
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
    """Import the client library of the broker, and check the address.

    Raises:
        ConfigurationError: the address is invalid.
    """
    if not settings.enabled:
        return
    # Not in the flusher thread: a fork during its import would leave the import lock held.
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
