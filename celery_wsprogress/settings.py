"""What can be set, and to what: one frozen value a side.

A setting has one name everywhere. ``progress_interval`` is ``wsprogress_progress_interval`` in
Celery's configuration, ``WSPROGRESS_PROGRESS_INTERVAL`` in the environment and, where the
sidecar has it, ``--progress-interval`` on the command line; the later of these wins. A bad value
raises :class:`~celery_wsprogress.errors.ConfigurationError`, which names the setting, the value
and what is allowed.

Pure: mappings come in, a value comes out. Nothing is read at import.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.option_values import transport_options
from celery_wsprogress.origins import host_name, is_service_link, listen_host, origin
from celery_wsprogress.setting_parsers import (
    ERROR_CHOICES,
    MIN_KEY_BYTES,
    Parser,
    between,
    each,
    error_choice,
    exchange_name,
    page_address,
    signing_key,
    switch,
    task_selection,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

CONF_PREFIX: Final = "wsprogress_"
ENVIRONMENT_PREFIX: Final = "WSPROGRESS_"

#: The exchange of the events, and the stem of the name of whatever keeps them.
EXCHANGE: Final = "celery_wsprogress"

#: What the log takes of the broker, unless something else is said.
LOG_BYTES: Final = 100_000_000

T = TypeVar("T")


def setting(default: Any, parse: Parser, allowed: str, *, secret: bool = False) -> Any:
    """Declare a setting: its default, how it is read, and what is allowed, in words."""
    return dataclasses.field(
        default=default,
        repr=not secret,
        metadata={"parse": parse, "allowed": allowed, "secret": secret},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the worker's side and the sidecar's side have in common."""

    url: str | None = setting(None, text, "a broker URL that kombu knows", secret=True)
    """The broker of the events, where it is not Celery's own."""
    transport_options: Mapping[str, Any] | None = setting(
        None,
        lambda value: transport_options(value) or None,
        "a mapping, or as JSON an object, or NAME=VALUE, such as master_name=mymaster; a dot in a "
        "NAME leads into a mapping: sentinel_kwargs.password=…",
        secret=True,
    )
    """Options of the transport of the events' broker, as Celery's ``broker_transport_options``: a
    Sentinel's ``master_name``, a ``global_keyprefix``. With ``url`` they are all it has; without it
    they go before Celery's own."""
    exchange: str = setting(
        EXCHANGE, exchange_name, "a name of up to 60 letters, digits, '_' and '-'"
    )
    """The exchange of the events. Projects that share a broker and name different ones do not see
    each other's tasks; a sidecar sees those of the exchange it is told of."""
    log_bytes: int | None = setting(
        None, whole(1_000_000, 1_000_000_000_000), "bytes from 1000000 to 1000000000000"
    )
    """What the log may take: of a Redis server's memory, of a RabbitMQ's disk. Unless it is said,
    as much as is usual there, and of a Redis with a ``maxmemory`` a quarter at the most. Workers,
    whatever calls tasks, and the sidecar are told the same."""

    @classmethod
    def load(cls, *sources: Mapping[str, Any]) -> Self:
        """Build the value from mappings of plain setting names; later ones win.

        An empty string and None count as not set.

        Raises:
            ConfigurationError: for the first bad value.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for source in sources:
            for name, value in source.items():
                if name in known and value is not None and value != "":
                    values[name] = _read(known[name], value)
        return cls(**values)


def _read(field: dataclasses.Field[Any], value: Any) -> Any:
    try:
        return field.metadata["parse"](value)
    except (ValueError, TypeError, AttributeError, OverflowError):
        shown = "(hidden)" if field.metadata["secret"] else value
        raise ConfigurationError(
            CONF_PREFIX + field.name, shown, field.metadata["allowed"]
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(Settings):
    """How tasks publish. Read from Celery's configuration, then from the environment."""

    enabled: bool = setting(True, switch, "true or false")
    """False: no signal does anything and ``update_progress`` only checks its arguments."""
    tasks: str | tuple[str, ...] = setting(
        "streaming", task_selection, "'streaming', 'all' or a list of task-name globs"
    )
    """Whose life cycle is published: that of ``StreamingTask``s, of every task, or of the
    tasks whose name matches (and of ``StreamingTask``s)."""
    stream_result: bool = setting(True, switch, "true or false")
    """Whether results leave with the events. A task's own ``stream_result`` wins."""
    stream_errors: str | None = setting(None, error_choice, ERROR_CHOICES)
    """What leaves of errors: ``full`` is their type and text, ``type`` their type only. A task's
    own ``stream_errors`` wins. Unless it is said: ``type`` of tasks whose result does not leave,
    else ``full``."""
    eager: bool | None = setting(None, switch, "true or false")
    """Whether tasks that are run eagerly (``task_always_eager``, ``apply()``) are published, too.
    Unless it is said they are, except in tests (pytest, Django's test runner, unittest)."""
    progress_interval: float = setting(0.1, between(0, 60), "seconds from 0 to 60")
    """At most one progress event an operation in this time, in seconds."""
    event_interval: float = setting(0.01, between(0, 10), "seconds from 0 to 10")
    """The other events leave at most this many seconds after the previous batch; those of the life
    cycle after five times as many, while very many of them come."""
    buffer_bytes: int = setting(
        8_000_000, whole(100_000, 1_000_000_000), "bytes from 100000 to 1000000000"
    )
    """What a process keeps while the broker is away."""
    idle_time: float = setting(60.0, between(0, 86_400), "seconds from 0 to 86400")
    """Seconds after its last events that a process keeps its connection to the broker."""
    sign_interval: float = setting(10.0, between(0.1, 20), "seconds from 0.1 to 20")
    """A process that has runs says that they go on, once in this many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings(Settings):
    """How the sidecar serves."""

    host: str = setting(
        "localhost",
        lambda value: listen_host(text(value)),
        "a host name or an address, without a scheme and a port",
    )
    port: int = setting(8765, whole(0, 65535), "a port from 0 to 65535 (0: any free one)")
    processes: int = setting(1, whole(1, 256), "a number from 1 to 256")
    """Processes of ``serve`` that share the port. Each of them reads the whole log."""
    key: str | None = setting(
        None, signing_key, f"a secret of at least {MIN_KEY_BYTES} bytes", secret=True
    )
    """Once set, every watcher needs a token signed with it (``create_token``)."""
    insecure: bool = setting(False, switch, "true or false")
    """Serve a public address without a key."""
    exact_only: bool = setting(False, switch, "true or false")
    """Without a key, let clients watch by exact id and nothing more. An id that cannot be guessed
    is all that a public address then asks for."""
    origins: tuple[str, ...] = setting(
        (),
        each(origin),
        "web origins such as https://example.org: a scheme and a host, with its port where that "
        "is not the default one; no path and no wildcard",
    )
    """Pages that may connect besides those of loopback hosts."""
    hosts: tuple[str, ...] = setting(
        (),
        each(host_name),
        "host names such as progress.example.org, without a scheme, a path and wildcards",
    )
    """Names this server may be called by besides loopback names and ``host``."""
    monitor_unsubscribed: bool = setting(False, switch, "true or false")
    """Connections that send nothing for a second receive every event. Not with a key."""
    heartbeat: float = setting(20.0, between(1, 600), "seconds from 1 to 600")
    """Seconds between pings, and to answer one."""
    max_subscriptions: int = setting(10_000, whole(1, 1_000_000), "a number from 1 to 1000000")
    """Operations one connection may watch by id."""
    max_finished: int = setting(1000, whole(0, 1_000_000), "a number from 0 to 1000000")
    """Finished operations that are held."""
    max_waiting: int = setting(100_000, whole(1, 10_000_000), "a number from 1 to 10000000")
    """Operations that are held though no worker has started them."""
    max_rate: float = setting(20.0, between(0.1, 1_000), "progress a second from 0.1 to 1000")
    """Progress events of one operation that clients get in a second, at the most."""
    max_age: float = setting(86_400.0, between(1, 31_536_000), "seconds from 1 to 31536000")
    """Seconds an operation is held after its last event. One that has not ended is held for a day
    at least: after its last event, or after the time its message waits for."""
    max_history_bytes: int = setting(
        256_000_000, whole(1_000_000, 1_000_000_000_000), "bytes from 1000000"
    )
    """What the histories of all operations together may take."""
    lost_after: float = setting(60.0, between(1, 86_400), "seconds from 1 to 86400")
    """Seconds without a sign of a run's process after which the run is lost; ``stalled`` after
    half of them. At least three times the workers' ``sign_interval``."""
    result_backend: str | None = setting(
        None, text, "a result backend that Celery knows", secret=True
    )
    """Celery's result backend, which is asked how a lost run ended. With an application that of
    the application, unless another one is named."""
    answer_unknown: bool = setting(False, switch, "true or false")
    """Ask the result backend also about operations nobody has heard of, when someone subscribes
    to one: how they ended is shown, results included."""
    stream_errors: str | None = setting(None, error_choice, ERROR_CHOICES)
    """``full`` shows all that the result backend says of errors of operations nobody has heard of.
    Unless it is said only their type is shown: nobody knows whether their text may leave."""
    flower_url: str | None = setting(
        None,
        page_address,
        "the http or https address of a Flower, without a password, such as "
        "https://flower.example.org",
        secret=True,
    )
    """Where the dashboard's links to a task's page in Flower lead; without it there are none."""
    drain: float = setting(5.0, between(0, 600), "seconds from 0 to 600")
    """Seconds over which the connections are closed when the sidecar stops."""


def from_conf(conf: Mapping[str, Any], cls: type[Settings]) -> dict[str, Any]:
    """Take a side's settings out of Celery's configuration (``wsprogress_…``)."""
    return _pick(((CONF_PREFIX + name, name) for name in _names(cls)), conf)


def from_environ(environ: Mapping[str, str], cls: type[Settings]) -> dict[str, Any]:
    """Take a side's settings out of the environment (``WSPROGRESS_…``).

    For the sidecar ``WEBSOCKET_PORT`` counts where ``WSPROGRESS_PORT`` is not set.
    """
    # Kubernetes may set these names for a service that is called so.
    environ = {name: value for name, value in environ.items() if not is_service_link(value)}
    found = _pick(((ENVIRONMENT_PREFIX + name.upper(), name) for name in _names(cls)), environ)
    if issubclass(cls, ServeSettings) and environ.get("WEBSOCKET_PORT"):
        found.setdefault("port", environ["WEBSOCKET_PORT"])
    return found


def websocket_enabled(environ: Mapping[str, str]) -> bool:
    """Whether ``ENABLE_WEBSOCKET`` lets a sidecar start (it does unless it says no)."""
    value = environ.get("ENABLE_WEBSOCKET", "")
    try:
        return switch(value) if value else True
    except ValueError:
        raise ConfigurationError("ENABLE_WEBSOCKET", value, "true or false") from None


def _names(cls: type[Settings]) -> Iterable[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _pick(names: Iterable[tuple[str, str]], source: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for there, here in names:
        value = source.get(there)
        if value is not None and value != "":
            found[here] = value
    return found
