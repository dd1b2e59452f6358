"""The options of ``serve`` and their help.

An option has no default here: where it is not given, the environment or Celery's configuration
has its value (:meth:`celery_wsprogress.settings.Settings.read`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from celery_wsprogress.cli.access_options import ACCESS_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")

LEVELS: Final = ("debug", "info", "warning", "error")

EPILOG: Final = """\
Every option can also be set in the environment (WSPROGRESS_PORT, WSPROGRESS_HOST, …) and, with
-A, in Celery's configuration (wsprogress_port, …). The command line overrides the environment,
which overrides the configuration. The keys that sign tokens are read from WSPROGRESS_KEY and
WSPROGRESS_KEYS, or wsprogress_key and wsprogress_keys, never from the command line. WEBSOCKET_PORT
is read where WSPROGRESS_PORT is not set. With ENABLE_WEBSOCKET=false this command does nothing.
"""

_OPTIONS: Final = (
    click.option(
        "-A",
        "--app",
        "app_path",
        envvar="WSPROGRESS_APP",
        metavar="APP",
        help="Celery application, as for `celery -A`.",
    ),
    click.option(
        "--broker",
        envvar="WSPROGRESS_BROKER",
        metavar="URL",
        help="Broker to read events from, if it is not the application's. A password in it is "
        "shown in the list of processes: use --broker-file, or WSPROGRESS_BROKER.",
    ),
    click.option(
        "--broker-file",
        "url_file",
        metavar="FILE",
        help="File that holds the URL of that broker.",
    ),
    click.option(
        "--broker-option",
        "transport_options",
        multiple=True,
        metavar="NAME=VALUE",
        help="Transport option of that broker: master_name=mymaster, global_keyprefix=shop:, "
        "sentinel_kwargs.password=…. Repeatable. To hide passwords from the process list, use "
        "WSPROGRESS_TRANSPORT_OPTIONS, a JSON object.",
    ),
    click.option(
        "--exchange",
        metavar="NAME",
        help="Exchange of the events; the same as wsprogress_exchange of the workers.  "
        "[default: celery_wsprogress]",
    ),
    click.option(
        "--log-bytes",
        metavar="BYTES",
        help="Maximum size of the event log; the same as wsprogress_log_bytes of the workers.  "
        "[default: 100 MB, at most a quarter of the maxmemory of Redis; 128 MB on RabbitMQ]",
    ),
    click.option(
        "--result-backend",
        metavar="URL",
        help="Result backend to ask how silent runs ended, if it is not the application's. A "
        "password in it is shown in the list of processes: use --result-backend-file.",
    ),
    click.option(
        "--result-backend-file",
        metavar="FILE",
        help="File that holds the URL of that result backend.",
    ),
    click.option(
        "--host",
        help="Host name or address to listen on.  [default: localhost, that is 127.0.0.1 and ::1]",
    ),
    click.option(
        "--unix-socket",
        metavar="PATH",
        help="Unix socket to listen on instead, for a proxy on this machine.",
    ),
    click.option("--port", help="Port to listen on; 0 means any free port.  [default: 8765]"),
    click.option(
        "--tls-cert",
        metavar="FILE",
        help="Certificate (PEM, with its chain) with which the port speaks TLS: https and wss. "
        "Read again when it changes.",
    ),
    click.option("--tls-key", metavar="FILE", help="Private key (PEM) of that certificate."),
    click.option(
        "--tls-key-password-file",
        metavar="FILE",
        help="File that holds the password of that key, if it has one.",
    ),
    click.option(
        "--root-path",
        metavar="PATH",
        help="Path under which a proxy serves this, if the proxy does not remove it: /progress.",
    ),
    click.option(
        "--processes",
        metavar="N",
        help="Number of processes that share the port, to use several cores. Each one reads the "
        "whole log and holds all operations.  [default: 1]",
    ),
    *ACCESS_OPTIONS,
    click.option(
        "--max-rate",
        metavar="NUMBER",
        help="Maximum number of progress events per second and operation.  [default: 20]",
    ),
    click.option(
        "--heartbeat",
        metavar="SECONDS",
        help="Interval of pings, and time allowed to answer one.  [default: 20]",
    ),
    click.option(
        "--max-subscriptions",
        metavar="N",
        help="Maximum number of operations that one connection watches by id.  [default: 10000]",
    ),
    click.option(
        "--max-connections",
        metavar="N",
        help="Maximum number of WebSockets of a process.  [default: 10000]",
    ),
    click.option(
        "--address-connections",
        metavar="N",
        help="Maximum number of WebSockets of one address.  [default: 5000]",
    ),
    click.option(
        "--subject-connections",
        metavar="N",
        help="Maximum number of WebSockets of one holder of tokens (sub).  [default: 1000]",
    ),
    click.option(
        "--auth-timeout",
        metavar="SECONDS",
        help="Time that a client has to send a token, if one is needed.  [default: 10]",
    ),
    click.option(
        "--client-share",
        metavar="NUMBER",
        help="Share of a processor for what one client sends, from 0.01 to 1.  [default: 0.25]",
    ),
    click.option(
        "--address-share",
        metavar="NUMBER",
        help="Share of a processor for what the clients of one address send.  [default: 0.5]",
    ),
    click.option(
        "--max-finished",
        metavar="N",
        help="Maximum number of finished operations in memory.  [default: 1000]",
    ),
    click.option(
        "--max-waiting",
        metavar="N",
        help="Maximum number of operations in memory that no worker has started.  "
        "[default: 100000]",
    ),
    click.option(
        "--max-age",
        metavar="SECONDS",
        help="Time that an operation is kept in memory after its last event.  [default: 86400]",
    ),
    click.option(
        "--max-history-bytes",
        metavar="BYTES",
        help="Maximum memory of all operations with their histories.  [default: 512000000]",
    ),
    click.option(
        "--lost-after",
        metavar="SECONDS",
        help="Time without any sign of a running task after which it counts as lost.  "
        "[default: 60]",
    ),
    click.option(
        "--answer-unknown",
        is_flag=True,
        default=None,
        help="Ask the result backend about unknown ids, and show their results.",
    ),
    click.option(
        "--max-lookups",
        metavar="N",
        help="Maximum number of unknown ids that wait to be asked about.  [default: 1000]",
    ),
    click.option(
        "--max-client-lookups",
        metavar="N",
        help="Maximum number of unknown ids of one client that wait.  [default: 100]",
    ),
    click.option(
        "--stream-errors",
        metavar="WORD",
        help="What --answer-unknown shows of an error: 'type' or 'full'.  [default: type]",
    ),
    click.option(
        "--flower-url",
        metavar="URL",
        help="URL of Flower; the dashboard links to its task pages.",
    ),
    click.option(
        "--drain",
        metavar="SECONDS",
        help="Maximum time over which connections are closed when the server stops.  [default: 5]",
    ),
    click.option(
        "--log-level",
        envvar="WSPROGRESS_LOG_LEVEL",
        type=click.Choice(LEVELS, case_sensitive=False),
        default="info",
        show_default=True,
    ),
    click.option(
        "--log-format",
        envvar="WSPROGRESS_LOG_FORMAT",
        type=click.Choice(("text", "json")),
        default="text",
        show_default=True,
        help="Lines for people, or one JSON object a line.",
    ),
)


def serve_options(command: Command) -> Command:
    """Add the options to a command, in the order above."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
