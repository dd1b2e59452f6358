"""``serve``: options, environment and configuration in; a running sidecar out."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from celery_wsprogress.cli import serve_runner
from celery_wsprogress.cli.advice import log_advice
from celery_wsprogress.cli.application import find_application
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.printable import clean, clean_lines
from celery_wsprogress.settings import ServeSettings, websocket_enabled
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink
    from celery_wsprogress.sidecar.server import Sidecar

LEVELS: Final = ("debug", "info", "warning", "error")

LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(message)s"
LOG_FORMAT_OF_CHILD: Final = "%(asctime)s %(levelname)-7s [%(process)d] %(message)s"


class CleanFormatter(logging.Formatter):
    """Lines that hold nothing a terminal would obey, whatever a broker or a client has said."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """One record is one line."""
        return clean(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """A traceback is several lines, each of which stays one."""
        return clean_lines(super().format(record))


EPILOG: Final = """\
Every option can also be set in the environment (WSPROGRESS_PORT, WSPROGRESS_HOST, …) and, with
-A, in Celery's configuration (wsprogress_port, …); the command line wins. The key that signs
tokens is taken from WSPROGRESS_KEY or wsprogress_key only, never from the command line.
WEBSOCKET_PORT is honoured too, and ENABLE_WEBSOCKET=false makes this command do nothing.
"""


@click.command(epilog=EPILOG)
@click.option(
    "-A",
    "--app",
    "app_path",
    envvar="WSPROGRESS_APP",
    metavar="APP",
    help="Celery application, as for `celery -A`.",
)
@click.option(
    "--broker",
    envvar="WSPROGRESS_BROKER",
    metavar="URL",
    help="Broker of the events, instead of that of the application.",
)
@click.option(
    "--broker-option",
    "transport_options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of that broker's transport: master_name=mymaster, global_keyprefix=shop:, "
    "sentinel_kwargs.password=…. Repeatable. Passwords stay out of the list of processes in "
    "WSPROGRESS_TRANSPORT_OPTIONS, as JSON.",
)
@click.option(
    "--exchange",
    metavar="NAME",
    help="Exchange of the events on that broker, as the workers' wsprogress_exchange.  "
    "[default: celery_wsprogress]",
)
@click.option(
    "--log-bytes",
    metavar="BYTES",
    help="What the event log may take of the broker, as the workers' wsprogress_log_bytes.  "
    "[default: 100 MB, and a quarter of a Redis's maxmemory at the most; 128 MB on RabbitMQ]",
)
@click.option(
    "--result-backend",
    metavar="URL",
    help="Celery's result backend, asked how silent runs ended, instead of that of the "
    "application.",
)
@click.option(
    "--host",
    help="Host name or address to listen on.  [default: localhost, both loopback addresses]",
)
@click.option("--port", help="Port to listen on; 0 is any free one.  [default: 8765]")
@click.option(
    "--processes",
    metavar="N",
    help="Processes that share the port and the clients, for more than one core. Each reads "
    "the whole log and holds all operations.  [default: 1]",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin (https://example.org) connect. Repeatable; loopback pages may.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A host name this server goes by. Repeatable; addresses and loopback names always are.",
)
@click.option(
    "--insecure",
    is_flag=True,
    default=None,
    help="Serve a public address without a key: whoever reaches it may watch everything.",
)
@click.option(
    "--exact-only",
    is_flag=True,
    default=None,
    help="Without a key, let clients watch by exact id only, also on a public address.",
)
@click.option(
    "--monitor-unsubscribed",
    is_flag=True,
    default=None,
    help="Send every event to connections that send no command within a second.",
)
@click.option(
    "--max-rate",
    metavar="NUMBER",
    help="Progress of one operation that clients get in a second, at the most.  [default: 20]",
)
@click.option(
    "--heartbeat", metavar="SECONDS", help="Time between pings, and to answer one.  [default: 20]"
)
@click.option(
    "--max-subscriptions",
    metavar="N",
    help="Operations one connection may watch by id.  [default: 10000]",
)
@click.option(
    "--max-finished", metavar="N", help="Finished operations that are held.  [default: 1000]"
)
@click.option(
    "--max-waiting",
    metavar="N",
    help="Operations that are held though no worker has started them.  [default: 100000]",
)
@click.option(
    "--max-age",
    metavar="SECONDS",
    help="How long an operation is held after its last event.  [default: 86400]",
)
@click.option(
    "--max-history-bytes",
    metavar="BYTES",
    help="What all histories together may take.  [default: 256000000]",
)
@click.option(
    "--lost-after",
    metavar="SECONDS",
    help="Silence after which a run is given up as lost.  [default: 60]",
)
@click.option(
    "--answer-unknown",
    is_flag=True,
    default=None,
    help="Ask the result backend about ids nobody has heard of; their results are shown.",
)
@click.option(
    "--stream-errors",
    metavar="WORD",
    help="What --answer-unknown shows of errors: their 'type', or 'full'.  [default: type]",
)
@click.option(
    "--flower-url",
    metavar="URL",
    help="Link the dashboard to the pages of tasks in this Flower.",
)
@click.option(
    "--drain",
    metavar="SECONDS",
    help="Time over which many connections are closed when it stops.  [default: 5]",
)
@click.option(
    "--log-level",
    envvar="WSPROGRESS_LOG_LEVEL",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
)
@click.option("--child-of", type=int, hidden=True, help="Set by the parent of several processes.")
@click.pass_context
def serve(
    ctx: click.Context,
    /,
    app_path: str | None,
    broker: str | None,
    log_level: str,
    child_of: int | None,
    **options: Any,
) -> None:
    """Push progress over WebSocket to whoever watches.

    Start it next to your workers and Flower:

        celery-wsprogress serve -A proj
    """
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(CleanFormatter(LOG_FORMAT if child_of is None else LOG_FORMAT_OF_CHILD))
    logging.basicConfig(level=log_level.upper(), handlers=[output])
    try:
        if not websocket_enabled(os.environ):
            click.echo("ENABLE_WEBSOCKET is false: not serving")
            return
        setup = configure(ctx, app_path, broker, options)
        if child_of is not None:
            main = _as_child(setup, child_of)
        elif setup.settings.processes > 1:
            main = _in_processes(setup)
        else:
            main = serve_runner.serve_alone(setup.sidecar(), setup.address)
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None
    serve_runner.run(main)


class Setup(NamedTuple):
    """What a sidecar is made of."""

    settings: ServeSettings
    address: BrokerAddress
    write_address: BrokerAddress
    backend: ResultLookup | None

    def sidecar(self, link: SupervisorLink | None = None) -> Sidecar:
        """Make one.

        Raises:
            ConfigurationError: the settings open what must be closed.
        """
        from celery_wsprogress.sidecar.server import Sidecar  # noqa: PLC0415 - see the package

        return Sidecar(
            self.settings,
            self.address,
            write_address=self.write_address,
            backend=self.backend,
            link=link,
        )


def configure(
    ctx: click.Context, app_path: str | None, broker: str | None, options: dict[str, Any]
) -> Setup:
    """Put the settings together, and find out where the events are.

    Raises:
        ConfigurationError: a setting has a value it cannot have, or no broker is named.
    """
    from celery_wsprogress.brokers import BrokerAddress, prepare  # noqa: PLC0415 - see the package
    from celery_wsprogress.brokers.address import broker_address  # noqa: PLC0415
    from celery_wsprogress.brokers.transports import is_in_one_process  # noqa: PLC0415
    from celery_wsprogress.sidecar.liveness.result_lookup import find_backend  # noqa: PLC0415

    app = find_application(ctx, app_path)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = ServeSettings.read(app, os.environ, given)
    if ctx.params.get("child_of") is None:
        # Said once, by the parent of several processes.
        log_advice(app, settings)
    url, more = broker or settings.url, settings.transport_options
    exchange, size = settings.exchange, settings.log_bytes
    if app is None and url is None:
        raise click.UsageError("Name the application with -A, or the broker with --broker")
    if app is None:
        address = write_address = BrokerAddress(
            str(url), more or {}, exchange=exchange, log_bytes=size
        )
    else:
        address, write_address = (
            broker_address(app, url, exchange, write=write, log_bytes=size, options=more)
            for write in (False, True)
        )
    prepare(address)
    if is_in_one_process(address.url):
        raise ConfigurationError(
            "broker URL",
            masked(address.url),
            "one that other processes reach: it joins only what is in one process, from which "
            "start_websocket_background() serves",
        )
    return Setup(settings, address, write_address, find_backend(app, settings.result_backend))


def _as_child(setup: Setup, child_of: int) -> Coroutine[Any, Any, None]:
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink  # noqa: PLC0415 - see the package

    link = SupervisorLink(child_of)
    return serve_runner.serve_as_worker(setup.sidecar(link), link)


def _in_processes(setup: Setup) -> Coroutine[Any, Any, None]:
    from celery_wsprogress.brokers import lacks_fanout  # noqa: PLC0415 - see the package
    from celery_wsprogress.sidecar.http.handshake import check_exposure  # noqa: PLC0415

    # Said once, here, and not by each of them.
    check_exposure(setup.settings)
    if lacks_fanout(setup.address):
        raise ConfigurationError(
            "wsprogress_processes",
            setup.settings.processes,
            "1 on this broker: it has no fanout, so that each event would reach one of them only",
        )
    return serve_runner.serve_in_processes(setup.settings, setup.address, _this_command())


def _this_command() -> list[str]:
    """What this program was started as, also where that was ``celery``, to be started from here."""
    arguments = sys.orig_argv[1:]
    for number, one in enumerate(arguments):
        # An option of Celery's own, which has led here already.
        if one == "--workdir":
            arguments[number + 1] = str(Path.cwd())
        elif one.startswith("--workdir="):
            arguments[number] = f"--workdir={Path.cwd()}"
    return [sys.executable, *arguments]
