"""Running a sidecar until it is told to end: alone, or as several processes on one port."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Final

import click

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
    """Serve until SIGTERM or Ctrl-C. While it stops, another of them ends it at once."""
    stop = _stop_signal()
    await _start(sidecar)
    _announce(sidecar.settings, sidecar.place, address)
    await stop.wait()
    click.echo("Stopping")
    await sidecar.stop()


async def serve_in_processes(
    settings: ServeSettings, address: BrokerAddress, command: Sequence[str]
) -> None:
    """Have several processes serve until SIGTERM or Ctrl-C, as :func:`serve_alone` does.

    Args:
        settings: How they serve.
        address: Where they read.
        command: What starts this program as it was started.
    """
    from celery_wsprogress.sidecar.multiprocess.supervisor import Supervisor  # noqa: PLC0415 - see the package
    from celery_wsprogress.sidecar.sockets import display_address, reserve_port  # noqa: PLC0415

    stop = _stop_signal()
    try:
        sockets = reserve_port(settings.host, settings.port)
    except OSError as exc:
        raise click.ClickException(_explain_oserror(settings, exc)) from None
    port = sockets[0].getsockname()[1]
    processes = Supervisor(settings.processes, [*command, "--port", str(port), "--child-of"])
    processes.start()
    await _wait_first(processes.serving, stop)
    if processes.serving.is_set():
        _announce(settings, display_address(settings.host, port), address, settings.processes)
    await stop.wait()
    click.echo("Stopping")
    # A second signal ends this process, and its end ends those that are stopping.
    await processes.stop()


async def serve_as_worker(sidecar: Sidecar, link: SupervisorLink) -> None:
    """Serve as one of several processes, until SIGTERM or the end of the parent.

    A second signal changes nothing: what stops a whole service signals the parent and the
    children, and each child is signalled by the parent, too.
    """
    stop = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await _start(sidecar)
    await _wait_first(stop, link.parent_gone)
    if link.parent_gone.is_set():
        await sidecar.stop(drain=0.0)
        return
    stopping = asyncio.create_task(sidecar.stop())
    parent_gone = asyncio.create_task(link.parent_gone.wait())
    await asyncio.wait((stopping, parent_gone), return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        # The parent was told to end at once. Whatever is still waited for is let go.
        os._exit(1)
    await stopping


async def _start(sidecar: Sidecar) -> None:
    try:
        await sidecar.start()
    except OSError as exc:
        raise click.ClickException(_explain_oserror(sidecar.settings, exc)) from None


async def _wait_first(*events: asyncio.Event) -> None:
    """Wait until one of them is set."""
    waiting = [asyncio.create_task(one.wait()) for one in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def _stop_signal() -> asyncio.Event:
    """What is set by the first SIGTERM or Ctrl-C; the next one does what it does by default."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, begin)
    return stop


def _announce(
    settings: ServeSettings, place: str, address: BrokerAddress, processes: int = 1
) -> None:
    from celery_wsprogress.sidecar.http.handshake import exposure  # noqa: PLC0415 - see the package
    from celery_wsprogress.sidecar.sockets import address_of, outer_addresses  # noqa: PLC0415

    port = int(place.rpartition(":")[2])
    click.echo(f"WebSocket server started on ws://{place}")
    others = outer_addresses(settings.host)
    if others:
        places = ", ".join(f"ws://{address_of(one, port)}" for one in others)
        click.echo(f"Listening on every address of this machine: {places}")
    if processes > 1:
        click.echo(f"Processes: {processes}")
    click.echo(f"Broker: {masked(address.url)}")
    click.echo(f"Dashboard: http://{place}/")
    click.echo(f"Status: curl http://{place}/status")
    open_to = exposure(settings)
    if open_to is not None:
        logger.warning(
            "Without a key on a public address: %s. Set WSPROGRESS_KEY, and give pages tokens "
            "(create_token)",
            open_to,
        )


def _explain_oserror(settings: ServeSettings, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"Port {settings.port} on {settings.host} is in use; choose another one with --port"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return f"Port {settings.port} needs privileges; choose one above 1023 with --port"
    return f"Cannot listen on {settings.host}, port {settings.port}: {exc.strerror or exc}"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed (the extra ``speed``), else on asyncio."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
