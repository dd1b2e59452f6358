"""Brokers of several servers, each of which may die without the others.

A cluster is used as one server is (:mod:`servers`), and one more can happen to it::

    with RabbitMQCluster() as cluster:
        cluster.url             # all nodes, separated by semicolons
        cluster.kill_leader()   # SIGKILL to the one that leads the log
        cluster.start()         # whatever is dead comes back
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import redis

from support.conditions import eventually
from support.servers import PATIENCE, RabbitMQServer, RedisServer, Sentinel, Server
from support.startable import Startable

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG = "celery_wsprogress.log"


class Cluster(Startable):
    """Several servers that are one broker. A context manager."""

    def __init__(self) -> None:
        self.members: list[Server] = []

    @property
    def transport_options(self) -> dict[str, str]:
        """What the URL cannot say."""
        return {}

    def start(self) -> None:
        """Start all that do not run, and return once they belong together."""
        raise NotImplementedError

    def kill_leader(self) -> Server:
        """SIGKILL to the server that leads; the one that was killed."""
        raise NotImplementedError

    def kill(self) -> None:
        """SIGKILL to all of them."""
        for one in self.members:
            one.kill()

    def pause(self) -> None:
        """SIGSTOP to all of them."""
        for one in self.members:
            one.pause()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        for one in self.members:
            one.resume()

    def remove(self) -> None:
        """Kill them and delete their folders."""
        for one in reversed(self.members):
            one.remove()


def _start_all(servers: Iterable[Server]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: one.start(), servers))


class _Node(RabbitMQServer):
    """One of a cluster: with the cookie and the epmd of the first one, whom it joins."""

    patience = 300.0

    def __init__(self, first: _Node | None = None) -> None:
        super().__init__()
        self._joins = first is not None
        if first is None:
            return
        self.home, self.epmd_port = first.home, first.epmd_port
        with (self.folder / "rabbitmq.conf").open("a") as file:
            file.write("cluster_formation.peer_discovery_backend = classic_config\n")
            for number, node in enumerate((first.node, self.node), 1):
                file.write(f"cluster_formation.classic_config.nodes.{number} = {node}\n")

    def outlive_the_first_stream(self) -> None:
        """Make none yet: streams are for a cluster that is complete."""

    def outlive_it_together(self) -> None:
        """Make the first stream of the cluster."""
        super().outlive_the_first_stream()

    def _start_epmd(self) -> None:
        if not self._joins:
            super()._start_epmd()


class RabbitMQCluster(Cluster):
    """RabbitMQ on three nodes. Starting takes as long as starting two single ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _Node()
        self._nodes = [self.first, _Node(self.first), _Node(self.first)]
        self.members = [*self._nodes]

    @property
    def url(self) -> str:
        """All nodes, as alternatives."""
        return ";".join(one.url for one in self._nodes)

    @property
    def ports(self) -> list[int]:
        """The ports in its URL."""
        return [one.port for one in self._nodes]

    def start(self) -> None:
        """Start all that do not run; the first time, the others join the first one."""
        if not (self.first.folder / "mnesia").exists():
            self.first.start()
        # Nodes that were killed at once wait for each other.
        _start_all(self._nodes)
        self.first.outlive_it_together()
        # Each has a part in what decides who leads, as it has in no cluster of its own.
        eventually(
            lambda: all(one.knows_streams() for one in self._nodes),
            _Node.patience,
            what="one cluster",
        )

    def kill_leader(self) -> Server:
        """SIGKILL to the node with the leader of the log."""
        leader = self.leader()
        leader.kill()
        return leader

    def leader(self) -> RabbitMQServer:
        """The node that leads the log."""
        return eventually(self._leader, PATIENCE, interval=0.2, what="the log to have a leader")

    def replicas(self) -> set[str]:
        """The nodes that keep the log."""
        [row] = [one for one in self._list("members") if one.startswith(_LOG)]
        return {one.node for one in self._nodes if one.node in row}

    def _leader(self) -> RabbitMQServer | None:
        for row in self._list("leader"):
            name, _, node = row.partition("\t")
            if name == _LOG:
                return next((one for one in self._nodes if one.node == node and one.running), None)
        return None

    def _list(self, what: str) -> list[str]:
        return self._living().control("list_queues", "name", what).splitlines()

    def _living(self) -> RabbitMQServer:
        return next(one for one in self._nodes if one.running)


class _FailoverRedis(RedisServer):
    """With a file of settings, in which a sentinel writes whose replica it is now."""

    name = "failover"

    def __init__(self, master_port: int | None = None) -> None:
        super().__init__(persistent=True)
        follows = {} if master_port is None else {"replicaof": f"127.0.0.1 {master_port}"}
        # Else a master waits five seconds for more replicas before it sends them its data.
        quick = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
        options = {**self._options, **quick, **follows}
        self._file = self.folder / "redis.conf"
        lines = [f"{name} {value}\n" for name, value in options.items() if value]
        self._file.write_text("".join(lines) + 'save ""\n')

    def _command(self) -> list[str]:
        return [self._program, str(self._file)]


def _hasten(sentinel: Sentinel) -> None:
    """Have it look every second who follows whom, not every ten; before Redis 7 it cannot."""
    with redis.Redis(port=sentinel.port) as client, contextlib.suppress(redis.ResponseError):
        client.execute_command("SENTINEL DEBUG", "info-period", "1000", "publish-period", "500")


class RedisFailover(Cluster):
    """A Redis master, two replicas, and three sentinels that watch them."""

    def __init__(self) -> None:
        super().__init__()
        first = _FailoverRedis()
        self.servers = [first, *(_FailoverRedis(first.port) for _ in range(2))]
        self.sentinels = [Sentinel(first.port, quorum=2) for _ in range(3)]
        self.members = [*self.servers, *self.sentinels]
        self._watched = False

    @property
    def url(self) -> str:
        """All sentinels, as alternatives."""
        return ";".join(one.url for one in self.sentinels)

    @property
    def ports(self) -> list[int]:
        """The ports in its URL."""
        return [one.port for one in self.sentinels]

    @property
    def transport_options(self) -> dict[str, str]:
        """The name by which the sentinels know the master."""
        return {"master_name": "events"}

    def start(self) -> None:
        """Start all that do not run, and wait until each sentinel knows all others."""
        _start_all(self.servers)
        if not self._watched:
            # The sooner they are seen.
            eventually(lambda: self._is_followed(self.servers[0]), PATIENCE, what="the replicas")
        self._watched = True
        _start_all(self.sentinels)
        for one in self.sentinels:
            _hasten(one)
        eventually(self._is_together, PATIENCE, interval=0.1, what="the replicas to follow")

    def kill_leader(self) -> Server:
        """SIGKILL to the master. Returns once the sentinels name another one."""
        master = self.master()
        master.kill()
        eventually(lambda: self.master() is not master, PATIENCE, what="another master")
        return master

    def master(self) -> RedisServer:
        """The one that the sentinels name."""
        with redis.Redis(port=self.sentinels[0].port) as client:
            _, port = client.sentinel_get_master_addr_by_name("events")
        [found] = [one for one in self.servers if one.port == int(port)]
        return found

    def _is_together(self) -> bool:
        master = self.master()
        with contextlib.suppress(redis.RedisError):
            return self._is_followed(master) and all(map(self._sees_all, self.sentinels))
        return False

    def _is_followed(self, master: RedisServer) -> bool:
        for one in self.servers:
            with redis.Redis(port=one.port) as client:
                said = client.info("replication")
            follows = said.get("master_link_status") == "up" and said["master_port"] == master.port
            if not (one is master and said["role"] == "master") and not follows:
                return False
        return True

    def _sees_all(self, sentinel: Sentinel) -> bool:
        with redis.Redis(port=sentinel.port) as client:
            said = client.sentinel_master("events")
        healthy = said["flags"] in ("master", {"master"})
        return healthy and (said["num-slaves"], said["num-other-sentinels"]) == (2, 2)
