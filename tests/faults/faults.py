"""What can happen to an installation: each fault is done, lasts as long as it must, and is undone.

The short form runs each of them once where it makes a difference, the long form (:mod:`soak`)
all of them at random. A fault returns when what it broke is whole again, as far as that is its to
mend; that the rest finds together again is what is being tested.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from support.clusters import Cluster, RedisFailover
from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.servers import Server
    from system import System

#: Seconds a cut lasts, unless it says otherwise: long enough to be noticed by everyone.
WHILE: Final = 0.7
#: Lines of a flood, and bytes in each: together less than a worker's buffer takes, and more than
#: the history of an operation and all buffers on the way to a client.
FLOOD: Final = 2_000
BALLAST: Final = 3_200


@dataclass(frozen=True)
class Fault:
    """One kind of harm."""

    name: str
    do: Callable[[System, random.Random], None]

    def __str__(self) -> str:
        return self.name


def kill_sidecar(system: System, chance: random.Random) -> None:
    """SIGKILL to a sidecar, and another one in its place."""
    sidecar = chance.choice(system.sidecars)
    sidecar.kill()
    sidecar.start()


def restart_sidecar(system: System, chance: random.Random) -> None:
    """A sidecar is stopped politely, as in a deployment, and comes back."""
    sidecar = chance.choice(system.sidecars)
    sidecar.stop()
    sidecar.start()


def kill_child(system: System, chance: random.Random) -> None:
    """SIGKILL to a process of a pool."""
    chance.choice(system.workers).kill_a_child()


def kill_worker(system: System, chance: random.Random) -> None:
    """SIGKILL to a whole worker. Its parent starts it again."""
    worker = chance.choice(system.workers)
    restarts = worker.restarts
    worker.kill()
    eventually(lambda: worker.restarts > restarts and worker.ready, 90)


def restart_worker(system: System, chance: random.Random) -> None:
    """A worker is stopped warmly, and comes back."""
    worker = chance.choice(system.workers)
    restarts = worker.restarts
    worker.stop()
    eventually(lambda: worker.restarts > restarts and worker.ready, 90)


def storm(system: System, chance: random.Random) -> None:
    """Every worker dies at once, and all that was late to acknowledge is delivered again."""
    restarts = [worker.restarts for worker in system.workers]
    for worker in system.workers:
        worker.kill()
    eventually(
        lambda: all(
            worker.restarts > before and worker.ready
            for worker, before in zip(system.workers, restarts, strict=True)
        ),
        90,
    )


def pause_worker(system: System, chance: random.Random) -> None:
    """A worker stands still until it is given up as lost, and goes on."""
    worker = chance.choice(system.workers)
    worker.pause()
    time.sleep(system.lost_after * 1.5)
    worker.resume()


def kill_broker(system: System, chance: random.Random) -> None:
    """SIGKILL to the broker, which comes back with its data."""
    system.broker.kill()
    time.sleep(WHILE)
    system.broker.start()
    system.wait_until_whole()


def kill_leader(system: System, chance: random.Random) -> None:
    """SIGKILL to the server that leads a cluster. The others go on, and it comes back to them."""
    system.broker.kill_leader()
    time.sleep(WHILE)
    system.wait_until_whole()
    system.broker.start()
    system.wait_until_whole()


def black_out(system: System, chance: random.Random) -> None:
    """The broker and all workers die at once, as on a machine that does; with its data it comes
    back, and they do."""
    for worker in system.workers:
        worker.kill()
    kill_broker(system, chance)


def pause_broker(system: System, chance: random.Random) -> None:
    """The broker stands still: connections stay, and nobody answers."""
    system.broker.pause()
    time.sleep(WHILE)
    system.broker.resume()


def _cut(name: str) -> Callable[[System, random.Random], None]:
    def cut(system: System, chance: random.Random) -> None:
        networks = [one for one in system.legs[name] if chance.random() < 0.7]
        for network in networks or system.legs[name]:
            network.cut()
        time.sleep(WHILE)
        for network in system.legs[name]:
            network.mend()

    return cut


def _freeze(*names: str) -> Callable[[System, random.Random], None]:
    def freeze(system: System, chance: random.Random) -> None:
        for name in names:
            for network in system.legs[name]:
                network.freeze()

    return freeze


def slow_down(system: System, chance: random.Random) -> None:
    """Everything takes its time, everywhere."""
    networks = [one for leg in system.legs.values() for one in leg]
    for network in networks:
        network.delay = chance.uniform(0.05, 0.3)
    time.sleep(WHILE * 2)
    for network in networks:
        network.delay = 0.0


def deafen(system: System, chance: random.Random) -> None:
    """Half of the clients read nothing for a while."""
    deaf = [one for one in system.audience.watchers if chance.random() < 0.5]
    for one in deaf:
        system.audience.call(one.stop_reading)
    time.sleep(WHILE * 3)
    for one in deaf:
        system.audience.call(one.go_on_reading)


def flood(system: System, chance: random.Random) -> None:
    """Clients that want to be told read nothing while more is said than is held for them."""
    [one] = ids = system.plan(1)
    watchers = [watcher for watcher in system.audience.watchers if watcher.resync]
    told = [watcher.transcript.counts["snapshots"] for watcher in watchers]
    system.audience.watch(ids, watchers)
    for watcher in watchers:
        system.audience.call(partial(watcher.stop_reading, one))
    system.send(ids, lines=FLOOD, ballast=BALLAST)
    eventually(lambda: system.has_ended(one), 60, what="the flood to end")
    for watcher in watchers:
        system.audience.call(watcher.go_on_reading)
    eventually(
        lambda: all(
            watcher.transcript.counts["snapshots"] > before
            for watcher, before in zip(watchers, told, strict=True)
        ),
        60,
        what="everyone to be told",
    )


def move_clients(system: System, chance: random.Random) -> None:
    """Half of the clients go to the next sidecar in the middle of it all."""
    system.audience.move([one for one in system.audience.watchers if chance.random() < 0.5])


def scatter(system: System, chance: random.Random) -> None:
    """All clients lose their connection in the same moment, and come back at once."""
    for door in system.doors:
        door.reset()


def crowd(system: System, many: int) -> list[str]:
    """So many clients watch one thing, lose their connections in one moment, and come back.

    They stay until they have seen its end, and are a part of every account.

    Returns:
        The operations they watched.
    """
    ids = system.plan(3)
    # Pings of a thousand clients in one thread would measure that thread.
    people = [
        system.join(f"one of many {number}", sidecar=number % 2, ids=ids, ping=None)
        for number in range(many)
    ]
    system.audience.wait_until_connected(people)
    system.send(ids, lines=40, pause=0.05)
    scatter(system, random.Random())
    system.audience.wait_until_connected(people)
    eventually(lambda: all(map(system.is_settled, ids)), 90, interval=0.3)
    system.audience.dismiss(people)
    return ids


WORKER_KILLED: Final = Fault("worker killed", kill_worker)
WORKER_PAUSED: Final = Fault("worker stopped and continued", pause_worker)
BROKER_KILLED: Final = Fault("broker killed, data kept", kill_broker)
LEADER_KILLED: Final = Fault("leader of the cluster killed", kill_leader)
BLACKOUT: Final = Fault("broker and workers killed at once, data kept", black_out)
HALF_OPEN: Final = tuple(
    Fault(f"half-open: {leg}", _freeze(leg)) for leg in ("clients", "sidecars", "workers")
)
HALF_OPEN_EVERYWHERE: Final = Fault(
    "half-open: everywhere", _freeze("clients", "sidecars", "workers")
)

FAULTS: Final = (
    Fault("sidecar killed", kill_sidecar),
    Fault("sidecar restarted", restart_sidecar),
    Fault("pool process killed", kill_child),
    WORKER_KILLED,
    Fault("worker restarted", restart_worker),
    WORKER_PAUSED,
    Fault("all workers killed: redelivery storm", storm),
    Fault("network cut: clients", _cut("clients")),
    Fault("network cut: sidecars", _cut("sidecars")),
    Fault("network cut: workers", _cut("workers")),
    *HALF_OPEN,
    Fault("network slow", slow_down),
    Fault("clients do not read", deafen),
    Fault("clients fall off and are told", flood),
    Fault("clients move", move_clients),
    Fault("clients come back at once", scatter),
    BROKER_KILLED,
    BLACKOUT,
    Fault("broker stopped and continued", pause_broker),
)


def faults_of(broker: Server | Cluster) -> Sequence[Fault]:
    """What can happen to an installation on this broker."""
    if not isinstance(broker, Cluster):
        return FAULTS
    # The sentinels name servers that no network of ours leads to.
    beside = ("sidecars", "workers") if isinstance(broker, RedisFailover) else ()
    return (*(one for one in FAULTS if one.name.partition(": ")[2] not in beside), LEADER_KILLED)
