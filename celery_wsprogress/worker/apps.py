"""What is kept about each Celery app of a process: its settings and its publisher.

Celery's signals are one set per process, its apps may be many, so every handler asks here
first, with the app of the signal's sender.
"""

from __future__ import annotations

import functools
import logging
import os
import weakref
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress import brokers, misnomers
from celery_wsprogress.brokers.address import broker_address
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.setting_parsers import ERROR_CHOICES, FULL, TYPE, error_choice
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.urls import masked
from celery_wsprogress.worker.publishing.publisher import Publisher
from celery_wsprogress.worker.run_info import WITHHOLD, WITHHOLD_ERRORS
from celery_wsprogress.worker.signals.eager_runs import EagerRuns, runs_in_tests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.worker.publishing.encoded_events import RunOptions

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
        settings = self.settings
        address = _address_of(app, settings)
        publisher = Publisher(
            lambda: brokers.open_writer(address),
            masked(address.url),
            settings,
            address.secrets,
            trusted=settings.url is None,
        )
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
        said = self.settings.eager
        return not runs_in_tests() if said is None else said

    def streams_result(self, task: Any) -> bool:
        """Whether the task's result leaves with its events."""
        own = getattr(task, "stream_result", None)
        return self.settings.stream_result if own is None else bool(own)

    def streams_errors(self, task: Any) -> bool:
        """Whether the texts of the task's errors leave, and not only their types."""
        said = _own_choice(task) or self.settings.stream_errors
        return self.streams_result(task) if said is None else said == FULL

    def _matches(self, name: str) -> bool:
        known = self._by_name.get(name)
        if known is None:
            known = self._by_name[name] = _selected(self.settings.tasks, name)
        return known


class TaskPolicy(NamedTuple):
    """How the life of a task is published."""

    publishing: AppPublishing
    always: bool
    """Whatever the header of its message says."""
    streams_result: bool
    streams_errors: bool


#: The attribute of a task that holds them.
_POLICY_ATTRIBUTE: Final = "_wsprogress_policy"


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
    app = _unproxied(app)
    found = _by_app.get(app)
    if found is None:
        found = _by_app.setdefault(app, AppPublishing(app, _settings_or_off(app)))
    return found


def _unproxied(app: Any) -> Any:
    """The app behind the proxy by which tasks know it at times."""
    return getattr(app, "_get_current_object", lambda: app)()


def publishing_for(task: Any, header: Mapping[str, Any]) -> AppPublishing | None:
    """How this task's life is published; None where it is not.

    Args:
        task: The task, bound to its app.
        header: Our header of its message.
    """
    policy = policy_of(task)
    if policy.always or (
        header and policy.publishing.publishes(task.name, streaming=False, header=header)
    ):
        return policy.publishing
    return None


def streams_result(task: Any, header: Mapping[str, Any]) -> bool:
    """Whether the result of this run leaves with its events.

    Args:
        task: The task, bound to its app.
        header: Our header of its message.
    """
    return policy_of(task).streams_result and not (header and header.get(WITHHOLD))


def streams_errors(task: Any, header: Mapping[str, Any]) -> bool:
    """Whether the texts of this run's errors leave with its events.

    Args:
        task: The task, bound to its app.
        header: Our header of its message.
    """
    return policy_of(task).streams_errors and not (header and header.get(WITHHOLD_ERRORS))


def run_options_of(task: Any, header: Mapping[str, Any]) -> RunOptions:
    """What is said of a run beside who and where, when it is received and when it starts."""
    return {
        "stream_result": streams_result(task, header),
        "stream_errors": streams_errors(task, header),
        "acks_late": bool(task.acks_late),
    }


def _own_choice(task: Any) -> str | None:
    """What the task itself says of its errors. A word that means nothing keeps them in."""
    own = getattr(task, "stream_errors", None)
    if own is None:
        return None
    try:
        return error_choice(own)
    except ValueError:
        shown = jsonable.to_text(own, 100)
        _warn_once(
            f"stream_errors of the task {task.name} is {shown!r}, but must be {ERROR_CHOICES}; "
            f"it is taken for {TYPE!r}"
        )
        return TYPE


def policy_of(task: Any) -> TaskPolicy:
    """How this task's life would be published.

    Args:
        task: The task, bound to its app.
    """
    # Asked some times a run, of plain tasks, too: the task itself holds the answer.
    found: TaskPolicy | None = vars(task).get(_POLICY_ATTRIBUTE)
    if found is None:
        publishing = publishing_of(task.app)
        streaming = getattr(task, "_streams_progress", False)
        always = publishing.publishes(task.name, streaming=streaming, header={})
        result, errors = publishing.streams_result(task), publishing.streams_errors(task)
        found = TaskPolicy(publishing, always, result, errors)
        setattr(task, _POLICY_ATTRIBUTE, found)
    return found


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


# Whose message is published: Celery's signals about publishing name a task, and no app.

_streaming: dict[str, weakref.WeakSet[Any]] = {}
_registered_apps: weakref.WeakSet[Any] = weakref.WeakSet()

#: The app that publishes here, and the name of the task.
_publishing: ContextVar[tuple[Any, str] | None] = ContextVar(
    "celery_wsprogress.publishing", default=None
)


def register_task(name: str, app: Any) -> None:
    """This app has a ``StreamingTask`` of this name."""
    app = _unproxied(app)
    _streaming.setdefault(name, weakref.WeakSet()).add(app)
    register_app(app)


def register_app(app: Any) -> None:
    """Have the messages of this app known as its own.

    The least that does: an attribute of this one app. All that publishes a task calls its
    ``send_task``, by name or not (celery 5.7: ``Task.apply_async``, ``Signature``, beat); neither
    Celery's classes nor other apps are touched, and no configuration is read before its time.
    """
    app = _unproxied(app)
    if app in _registered_apps:
        return
    _registered_apps.add(app)
    own, known = vars(app).get("send_task"), weakref.ref(app)

    @functools.wraps(app.send_task)
    def send_task(name: Any, *args: Any, **options: Any) -> Any:
        app: Any = known()
        token = _publishing.set((app, str(name)))
        try:
            # Looked up now: what instruments Celery changes its class, perhaps after us.
            return (
                own(name, *args, **options)
                if own
                else type(app).send_task(app, name, *args, **options)
            )
        finally:
            _publishing.reset(token)

    app.send_task = send_task


def app_publishing(sender: str, name: str) -> tuple[Any, bool] | None:
    """The app that publishes this message; None of an app that has nothing to do with us.

    Args:
        sender: The task of the message.
        name: The task it is about: ``celery.map`` has another one inside.

    Returns:
        The app, and whether the task is a ``StreamingTask`` of it.
    """
    found = _publishing.get()
    # Another app may publish in between: a handler of Celery's own signals, for instance.
    if found is None or found[1] != sender:
        return None
    return found[0], found[0] in _streaming.get(name, ())
