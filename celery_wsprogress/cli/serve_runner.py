"""Run a sidecar until a signal stops it: in one process, or in several on one port.

:mod:`.serve` calls this with the sidecar, or with the settings for several.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.access.exposure import describe_exposure
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink
    from celery_wsprogress.sidecar.server import Sidecar

logger = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def serve_alone(sidecar: Sidecar, address: BrokerAddress) -> None:
    """Serve until SIGTERM or Ctrl-C. A second signal ends the process at once."""
    from celery_wsprogress.cli.hangup import reload_on_hangup  # noqa: PLC0415 - see the module `serve`

    stop, ready = _stop_signal(), asyncio.Event()
    reload_on_hangup(sidecar.reload, stop, os.environ, ready)
    await _start(sidecar)
    _print_startup(sidecar.settings, sidecar.address, address)
    _notify("READY=1")
    ready.set()
    await stop.wait()
    _say_stopping()
    await sidecar.stop()


async def serve_in_processes(
    settings: ServeSettings, address: BrokerAddress, command: Sequence[str]
) -> None:
    """Supervise several processes until SIGTERM or Ctrl-C.

    Args:
        settings: The settings of each process.
        address: The broker, to be printed.
        command: The command that starts this program again.
    """
    from celery_wsprogress.cli.hangup import reload_on_hangup  # noqa: PLC0415 - see the module `serve`
    from celery_wsprogress.sidecar.multiprocess.supervisor import Supervisor  # noqa: PLC0415 - see the module `serve`
    from celery_wsprogress.sidecar.sockets import display_address, reserve_port  # noqa: PLC0415

    stop = _stop_signal()
    try:
        sockets = reserve_port(settings.host, settings.port)
    except OSError as exc:
        raise click.ClickException(_explain(exc, settings)) from None
    port = sockets[0].getsockname()[1]
    supervisor = Supervisor(settings.processes, [*command, "--port", str(port), "--child-of"])
    supervisor.start()
    reload_on_hangup(supervisor.reload, stop, os.environ, supervisor.serving)
    await _wait_first(supervisor.serving, stop)
    if supervisor.serving.is_set():
        _print_startup(settings, display_address(settings.host, port), address, settings.processes)
        _notify("READY=1")
    await stop.wait()
    _say_stopping()
    # A second signal ends this process, and then the others, too: they watch their parent.
    await supervisor.stop()


async def serve_as_worker(sidecar: Sidecar, link: SupervisorLink) -> None:
    """Serve as one of several processes, until SIGTERM or the end of the parent.

    A second signal changes nothing. A service manager signals both the parent and its children,
    and the parent signals each child again.
    """
    from celery_wsprogress.cli.hangup import reload_on_hangup  # noqa: PLC0415 - see the module `serve`

    stop, ready = asyncio.Event(), asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reload_on_hangup(sidecar.reload, stop, {}, ready)
    await _start(sidecar)
    ready.set()
    await _wait_first(stop, link.parent_gone)
    if link.parent_gone.is_set():
        await sidecar.stop(drain=0.0)
        return
    stopping = asyncio.create_task(sidecar.stop())
    parent_gone = asyncio.create_task(link.parent_gone.wait())
    await asyncio.wait((stopping, parent_gone), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        # The parent was ended by a second signal, so this process ends at once as well.
        os._exit(1)
    await stopping


async def _start(sidecar: Sidecar) -> None:
    sidecar.limits.collections.begin()
    try:
        await sidecar.start()
    except OSError as exc:
        raise click.ClickException(_explain(exc, sidecar.settings)) from None
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None


def _say_stopping() -> None:
    _notify("STOPPING=1")
    # The terminal may have been closed.
    with contextlib.suppress(OSError):
        click.echo("Stopping")


def _notify(state: str) -> None:
    from celery_wsprogress.sidecar.systemd import notify  # noqa: PLC0415 - see the module `serve`

    notify(state, os.environ)


async def _wait_first(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waiters = [asyncio.create_task(one.wait()) for one in events]
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    for one in waiters:
        one.cancel()


def _stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM or Ctrl-C sets. The next signal ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    return stop


def _print_startup(
    settings: ServeSettings, address_text: str, address: BrokerAddress, processes: int = 1
) -> None:
    from celery_wsprogress.sidecar.sockets import address_of, reachable_addresses  # noqa: PLC0415 - see the module `serve`

    http, websocket = ("https", "wss") if settings.has_tls else ("http", "ws")
    if address_text.startswith("unix:"):
        path = address_text.removeprefix("unix:")
        click.echo(f"WebSocket server started on {address_text}")
        click.echo(f"Broker: {masked(address.url)}")
        click.echo(f"Status: curl --unix-socket {path} {http}://localhost/status")
        return
    port = int(address_text.rpartition(":")[2])
    click.echo(f"WebSocket server started on {websocket}://{address_text}")
    others = reachable_addresses(settings.host)
    if others:
        urls = ", ".join(f"{websocket}://{address_of(one, port)}" for one in others)
        click.echo(f"Listening on every address of this machine: {urls}")
    if processes > 1:
        click.echo(f"Processes: {processes}")
    click.echo(f"Broker: {masked(address.url)}")
    click.echo(f"Dashboard: {http}://{address_text}/")
    click.echo(f"Status: curl {http}://{address_text}/status")
    open_to = describe_exposure(settings)
    if open_to is not None:
        logger.warning(
            "Without a key on a public address: %s. Set WSPROGRESS_KEY, and give pages tokens "
            "(create_token)",
            open_to,
        )


def _explain(exc: OSError, settings: ServeSettings) -> str:
    from celery_wsprogress.sidecar.listeners import explain  # noqa: PLC0415 - see the module `serve`

    reason = explain(exc, settings)
    if settings.unix_socket is not None:
        return reason[0].upper() + reason[1:]
    hint = {
        errno.EADDRINUSE: "; choose another one with --port",
        errno.EACCES: "; choose one above 1023 with --port",
        errno.EPERM: "; choose one above 1023 with --port",
    }.get(exc.errno or 0, "")
    return reason[0].upper() + reason[1:] + hint


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine on uvloop if it is installed (the extra ``speed``), else on asyncio."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
