"""The command ``fake``: a sidecar that plays recorded events, for those who write front ends."""

from __future__ import annotations

import signal
import threading
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from celery_wsprogress.errors import ConfigurationError

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar
    from celery_wsprogress.testing.scenario import Scenario

PATIENCE: Final = 86_400
"""Seconds without a heartbeat after which a run is presumed lost: nothing here sends any."""


POLLING_INTERVAL: Final = 0.02
"""Seconds between two looks at what was written."""


@click.command()
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    required=True,
    help="File with an event as JSON on each line, as `watch --json` and `monitor --json` print "
    "them.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port on localhost; 0 is any free one.",
)
def fake(scenario: Path, port: int) -> None:
    """Serve recorded events to real clients, without Celery and a broker.

    It plays the scenario once, at the speed at which it was recorded, and serves what it has
    played until Ctrl-C. Record one with:

        celery-wsprogress watch ID --json > scenario.jsonl
    """
    from celery_wsprogress.testing.scenario import read_scenario  # noqa: PLC0415 - as in `serve`

    try:
        lines = scenario.read_text(encoding="utf-8").splitlines()
        played = read_scenario(str(scenario), lines)
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"{scenario} cannot be read: {exc}") from None
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sidecar = _start(port)
    click.echo(f"WebSocket server started on {sidecar.address.url}")
    click.echo(f"Playing {', '.join(played.operation_ids)}")
    if _play(played, stop):
        click.echo("All is played; serving until Ctrl-C")
        stop.wait()
    sidecar.stop()


def _memory() -> BrokerAddress:
    from celery_wsprogress.brokers import BrokerAddress  # noqa: PLC0415 - as in `serve`
    from celery_wsprogress.brokers.discovery import MEMORY  # noqa: PLC0415

    return BrokerAddress(MEMORY, {"polling_interval": POLLING_INTERVAL})


def _start(port: int) -> EmbeddedSidecar:
    from celery_wsprogress.brokers import prepare  # noqa: PLC0415 - as in `serve`
    from celery_wsprogress.settings import ServeSettings  # noqa: PLC0415
    from celery_wsprogress.sidecar.embedded.thread import EmbeddedSidecar  # noqa: PLC0415

    settings = ServeSettings.load({"port": port, "lost_after": PATIENCE})
    prepare(_memory())
    sidecar = EmbeddedSidecar(settings, _memory())
    try:
        sidecar.start()
    except OSError as exc:
        raise click.ClickException(f"Port {port} cannot be used: {exc.strerror}") from None
    return sidecar


def _play(scenario: Scenario, stop: threading.Event) -> bool:
    from celery_wsprogress.brokers import open_writer  # noqa: PLC0415 - as in `serve`
    from celery_wsprogress.protocol.batches import join_batch  # noqa: PLC0415

    writer, numbers = open_writer(_memory()), count(1)

    def wait_until(at: float) -> bool:
        return not stop.wait(max(0.0, at - time.time()))

    def write(event: bytes) -> None:
        writer.publish(join_batch("fake", next(numbers), [event]), confirm=True)

    return scenario.play(time.time(), wait_until, write)
