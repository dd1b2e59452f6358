"""The settings: one frozen dataclass for the workers, one for the sidecar.

Each setting has one name. ``progress_interval`` is ``wsprogress_progress_interval`` in Celery's
configuration, ``WSPROGRESS_PROGRESS_INTERVAL`` in the environment and, where the command has it,
``--progress-interval`` on the command line. The command line wins over the environment, and the
environment over the configuration. A bad value raises
:class:`~celery_wsprogress.errors.ConfigurationError`, which names the setting, the value and what
is allowed. The docstrings of the fields are the users' tables of settings (``docs/generate.py``).

Pure: the callers pass the mappings in. Nothing is read at import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from celery_wsprogress.common_settings import Settings
from celery_wsprogress.origins import host_name, listen_host, origin
from celery_wsprogress.serve_limits import ServeLimits
from celery_wsprogress.setting_parsers import (
    ERROR_CHOICES,
    LEVEL_CHOICES,
    MIN_KEY_BYTES,
    between,
    cookie_name,
    each,
    error_choice,
    function_path,
    key_place,
    log_level,
    named_keys,
    network,
    page_address,
    root_path,
    signing_key,
    switch,
    task_selection,
    text,
    text_list,
    whole,
)
from celery_wsprogress.setting_sources import setting
from celery_wsprogress.urls import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(Settings):
    """The settings of processes that run or call tasks.

    Read from Celery's configuration, then from the environment.
    """

    enabled: bool = setting(True, switch, "true or false")
    """Whether anything is published. If false, ``update_progress`` only checks its arguments."""
    tasks: str | tuple[str, ...] = setting(
        "streaming", task_selection, "'streaming', 'all' or a list of task-name globs"
    )
    """The tasks whose life cycle is published: ``StreamingTask``s only, all tasks, or
    ``StreamingTask``s and those whose name matches a glob."""
    stream_result: bool = setting(True, switch, "true or false")
    """Whether results are published. A task's own ``stream_result`` wins."""
    stream_errors: str | None = setting(None, error_choice, ERROR_CHOICES)
    """Whether an error is published with its text (``full``), as its type only (``type``), or with
    its text and its traceback (``traceback``). A task's own ``stream_errors`` wins. The default is
    ``type`` for tasks whose result is not published, else ``full``."""
    redact: tuple[str, ...] = setting((), each(text), "names such as password or *token*")
    """Names, also with ``*``, whose values are hidden in details, metadata and results of all
    tasks, besides those of a task's own ``redact``."""
    stream_logs: int | None = setting(None, log_level, LEVEL_CHOICES)
    """Level from which the log records of tasks become their ``log`` events; without it they do
    not. A task's own ``stream_logs`` wins, and ``False`` of it switches that off."""
    stream_logs_rate: float = setting(100.0, between(1, 10_000), "lines a second from 1 to 10000")
    """Lines per second that a run may send of its log records and printed lines, with a burst of
    five times as many. A line counts those that were left out."""
    capture_stdout: bool = setting(False, switch, "true or false")
    """Whether what tasks print becomes ``log`` events, too. A task's own ``capture_stdout``
    wins."""
    eager: bool | None = setting(None, switch, "true or false")
    """Whether tasks that run eagerly (``task_always_eager``, ``apply()``) are published, too. By
    default they are, except in tests (pytest, Django's test runner, unittest)."""
    capture_tqdm: bool = setting(False, switch, "true or false")
    """Whether bars of tqdm and rich in tasks are their progress, as in ``self.capture_tqdm()``."""
    capture_update_state: bool = setting(True, switch, "true or false")
    """Whether ``update_state()`` of a ``StreamingTask`` with a state of one's own is progress, too.
    A task's own ``capture_update_state`` wins."""
    flower: bool = setting(False, switch, "true or false")
    """Whether progress is sent to Flower, too, as Celery events (``task-progress``): at most one a
    second and task, if the worker sends events (``-E``)."""
    progress_interval: float = setting(0.1, between(0, 60), "seconds from 0 to 60")
    """Minimum time between two progress events of one operation, in seconds."""
    event_interval: float = setting(0.01, between(0, 10), "seconds from 0 to 10")
    """Minimum time between two batches of other events, in seconds. While a process starts and ends
    many tasks per second, life-cycle events are collected for up to five times as long."""
    buffer_bytes: int = setting(8_000_000, whole(100_000, 10**9), "bytes from 100000 to 1000000000")
    """Maximum size of the events that a process buffers while the broker is unavailable, in
    bytes."""
    idle_time: float = setting(60.0, between(0, 86_400), "seconds from 0 to 86400")
    """Seconds without events after which a process closes its connection to the broker."""
    sign_interval: float = setting(10.0, between(0.1, 20), "seconds from 0.1 to 20")
    """Seconds between two heartbeats of a process that has active runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings(ServeLimits):
    """The settings of the sidecar, with its :class:`.ServeLimits`."""

    url_file: str | None = setting(None, text, "the path of a file that holds a broker URL")
    """File that holds the URL of the broker, which wins over ``url``: other users of the machine
    see the command line in the list of processes, and not the file."""
    host: str = setting(
        "localhost",
        lambda value: listen_host(text(value)),
        "a host name or an address, without a scheme and a port",
    )
    """Host name or address to listen on."""
    port: int = setting(8765, whole(0, 65535), "a port from 0 to 65535 (0: any free one)")
    """TCP port to listen on."""
    unix_socket: str | None = setting(None, text, "the path of a Unix socket")
    """Path of a Unix socket to listen on, instead of the host and the port: for a proxy on this
    machine. Its user and its group may connect."""
    tls_cert: str | None = setting(None, text, "the path of a certificate in PEM")
    """File of the certificate with which the port speaks TLS (``https``, ``wss``), and of those
    that have signed it, in PEM. The files of TLS are read again when they change."""
    tls_key: str | None = setting(None, text, "the path of a private key in PEM")
    """File of the private key of that certificate, in PEM."""
    tls_key_password_file: str | None = setting(None, text, "the path of a file")
    """File that holds the password of that key, if it has one."""
    root_path: str | None = setting(None, root_path, "a path such as /progress")
    """Path under which a proxy serves the sidecar, if the proxy does not remove it. Requests
    without it are served, too."""
    processes: int = setting(1, whole(1, 256), "a number from 1 to 256")
    """Number of ``serve`` processes that share the port. Each of them reads the whole log."""
    key: str | None = setting(
        None, signing_key, f"a secret of at least {MIN_KEY_BYTES} bytes", secret=True
    )
    """Key for tokens. If it is set, each client needs a token signed with it (``create_token``)."""
    keys: Mapping[str, str] | None = setting(
        None,
        named_keys,
        f"a mapping, or as JSON an object, of names to secrets of at least {MIN_KEY_BYTES} bytes",
        secret=True,
    )
    """Several keys for tokens, by the name that their tokens give (``kid``), so that they can be
    changed one after the other. ``create_token`` signs with the first one."""
    public_keys: tuple[str, ...] = setting(
        (), each(key_place), "files (PEM or JWKS), or http and https URLs of a JWKS"
    )
    """Public keys for tokens that others sign with RS256, ES256 or EdDSA. They are read again every
    5 minutes, and when a token names a new one."""
    token_issuers: tuple[str, ...] = setting((), text_list, "a list of texts")
    """Accepted issuers of tokens (``iss``). By default any that signs with one of the keys."""
    token_audiences: tuple[str, ...] = setting((), text_list, "a list of texts")
    """Names of this service in tokens (``aud``): a token must have one of them. By default it must
    not have any, since it would be for another service."""
    token_cookie: str | None = setting(None, cookie_name, "the name of a cookie")
    """Name of a cookie that may bring a token, on pages of this host and of the listed origins."""
    revoked_tokens: str | None = setting(None, text, "a path")
    """File of revoked tokens, with lines ``jti:<id>`` and ``sub:<name>``. When it changes, the
    connections of these tokens are closed."""
    permit: str | None = setting(None, function_path, "module:function")
    """Function that decides for each request and handshake, from its headers and cookies, what the
    client may do. It returns the claims of a token, or None. Clients need no token then."""
    insecure: bool = setting(False, switch, "true or false")
    """Whether a public address may be served without a key."""
    exact_only: bool = setting(False, switch, "true or false")
    """Whether clients may only watch operations by exact id when there is no key. Then a public
    address may be served without a key: whoever knows an id may watch it."""
    allow_cancel: bool = setting(False, switch, "true or false")
    """Whether clients of a loopback address may cancel tasks without a key. With a key their tokens
    decide (``can``)."""
    origins: tuple[str, ...] = setting(
        (),
        each(origin),
        "web origins such as https://example.org: a scheme and a host, with its port where that "
        "is not the default one; no path and no wildcard",
    )
    """Origins of the pages that may connect, besides pages of loopback hosts and of this server."""
    file_pages: bool = setting(True, switch, "true or false")
    """Whether pages opened from disk may connect. Most browsers do not tell them from a sandboxed
    frame of any website, so they may watch by exact id only."""
    hosts: tuple[str, ...] = setting(
        (),
        each(host_name),
        "host names such as progress.example.org, without a scheme, a path and wildcards",
    )
    """Host names that clients may use for this server, besides loopback names and ``host``."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        (),
        each(network),
        "addresses and networks such as 10.0.0.0/8, without bits behind the mask; not /0",
    )
    """Addresses of the proxies whose ``X-Forwarded-For`` says where a client is. From anyone else
    the header is ignored."""
    monitor_unsubscribed: bool = setting(False, switch, "true or false")
    """Whether a connection that sends nothing for a second receives all events; not with a key."""
    heartbeat: float = setting(20.0, between(1, 600), "seconds from 1 to 600")
    """Seconds between two pings, and the time that a client has to answer one."""
    max_finished: int = setting(1000, whole(0, 1_000_000), "a number from 0 to 1000000")
    """Maximum number of finished operations that are kept in memory."""
    max_waiting: int = setting(100_000, whole(1, 10_000_000), "a number from 1 to 10000000")
    """Maximum number of operations that are kept although no worker has started them."""
    max_rate: float = setting(20.0, between(0.1, 1_000), "progress a second from 0.1 to 1000")
    """Maximum number of progress events per second and operation that clients get."""
    max_age: float = setting(86_400.0, between(1, 31_536_000), "seconds from 1 to 31536000")
    """Seconds for which an operation is kept after its last event. One that has not ended is kept
    for at least a day after its last event, or after its ETA."""
    max_history_bytes: int = setting(512_000_000, whole(1_000_000, 10**12), "bytes from 1000000")
    """Maximum memory of all operations with their histories, in bytes, within a third."""
    lost_after: float = setting(60.0, between(1, 86_400), "seconds from 1 to 86400")
    """Seconds without a heartbeat after which a run is presumed lost. After half of them it is
    ``stalled``. Must be at least three times the workers' ``sign_interval``."""
    result_backend: str | None = setting(
        None, text, "a result backend that Celery knows", secret=True
    )
    """URL of Celery's result backend, where the sidecar looks up how a lost run ended. The default
    is the result backend of the Celery application, if the sidecar has one (``--app``)."""
    result_backend_file: str | None = setting(None, text, "the path of a file that holds a URL")
    """File that holds the URL of the result backend, which wins over ``result_backend``."""
    answer_unknown: bool = setting(False, switch, "true or false")
    """Whether the sidecar also looks up unknown operations in the result backend when a client
    subscribes to one. It then shows how they ended, with their results."""
    stream_errors: str | None = setting(None, error_choice, ERROR_CHOICES)
    """Whether an error of an unknown operation, from the result backend, is shown with its text
    (``full``) or as its type only (``type``, the default): the task's own is not known."""
    flower_url: str | None = setting(
        None,
        page_address,
        "the http or https address of a Flower, without a password, such as "
        "https://flower.example.org",
        secret=True,
    )
    """URL of a Flower. If it is set, the dashboard links each task to its page there."""
    drain: float = setting(5.0, between(0, 600), "seconds from 0 to 600")
    """Seconds over which a sidecar that stops spreads the closing of its connections."""

    @property
    def needs_tokens(self) -> bool:
        """Whether clients need tokens, or another permit: a key or a function is set."""
        return self.has_keys or self.permit is not None

    @property
    def has_keys(self) -> bool:
        """Whether there is a key for tokens."""
        return self.key is not None or bool(self.keys or self.public_keys)

    @property
    def may_be_served(self) -> bool:
        """Whether the address may be served: a public one needs a key or an explicit choice."""
        closed = self.needs_tokens or self.insecure or self.exact_only
        return closed or self.is_local

    @property
    def has_tls(self) -> bool:
        """Whether the port speaks TLS."""
        return self.tls_cert is not None

    @property
    def is_local(self) -> bool:
        """Whether only clients on this machine can connect."""
        return self.unix_socket is not None or is_loopback(self.host)
