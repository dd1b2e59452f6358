"""Real brokers for the tests: started on ports of their own, killed and restarted at will.

Nothing here knows pytest. Every server is a context manager::

    with RedisServer() as redis:
        redis.url
        redis.kill()              # SIGKILL; what was not on disk is gone
        redis.start()             # same port, same folder
        redis.start(fresh=True)   # same port, as if it had never run
        redis.pause(); redis.resume()

A server listens on 127.0.0.1 only, writes into a temporary folder of its own, and takes all
its processes with it when it goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import redis

from support.conditions import eventually
from support.ports import free_port
from support.startable import Startable

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds a server may take to answer. RabbitMQ needs 20 s after a SIGKILL on a busy machine.
PATIENCE: Final = 90.0


_STOPPED: Final = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE})


class ServerMissingError(Exception):
    """The server's program is not installed on this machine."""


class ServerFailedError(Exception):
    """The server ended, or did not answer in time; the message holds the end of its log."""


def find_program(name: str, *more: str) -> str:
    """Return the path of a program, looked for at some more places before the PATH.

    Raises:
        ServerMissingError: it is nowhere.
    """
    for place in more:
        if os.access(place, os.X_OK):
            return place
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ServerMissingError(f"{name} is not installed")
    return found


class Server(Startable):
    """One server process (and its children) with a folder of its own."""

    name = "server"
    patience = PATIENCE
    """Seconds it may take to answer."""

    def __init__(self) -> None:
        self.port = free_port()
        # Not pytest's folder: the path of a unix socket may have 107 bytes at the most.
        self.folder = Path(tempfile.mkdtemp(prefix=f"wsp-{self.name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL as Celery takes it."""
        raise NotImplementedError

    @property
    def ports(self) -> list[int]:
        """The ports in its URL."""
        return [self.port]

    @property
    def transport_options(self) -> dict[str, str]:
        """What the URL cannot say."""
        return {}

    @property
    def running(self) -> bool:
        """Whether the process is there (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, fresh: bool = False) -> None:
        """Start on the port it always had; returns once it answers.

        Args:
            fresh: Forget all data first.

        Raises:
            ServerFailedError: it does not answer.
        """
        if self.running:
            return
        if fresh:
            self._forget()
        self._process = self._spawn(self._command(), self._environment())
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End it politely: everything that can be on disk is on disk."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nobody answers."""
        self._signal(signal.SIGSTOP)
        # The signal reaches the group at once, but on a busy machine a thread of the server may
        # still answer before all of them are stopped.
        eventually(self._is_stopped)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_stopped(self) -> bool:
        if self._process is None:
            return True
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            root = psutil.Process(self._process.pid)
            group = [
                one
                for one in (root, *root.children(recursive=True))
                if os.getpgid(one.pid) == root.pid
            ]
            return all(one.status() in _STOPPED for one in group)
        return False

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str] | None:
        return None

    def _answers(self) -> bool:
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError

    def _spawn(
        self, command: list[str], environment: Mapping[str, str] | None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own: signals reach all of it, and Ctrl-C none of it.
                start_new_session=True,
            )

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.patience
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                log = (self.folder / "output.log").read_text(errors="replace")[-3000:]
                self.kill()
                raise ServerFailedError(f"{self.name} does not answer:\n{log}")
            time.sleep(0.05)


class RedisServer(Server):
    """A ``redis-server``.

    Args:
        persistent: Keep an append-only file, so that a killed server comes back with its data;
            otherwise nothing survives it.
        options: More of the server's own options, as in ``{"maxmemory": "10mb"}``.
        program: Another ``redis-server`` than the system's.
    """

    name = "redis"

    def __init__(
        self,
        *,
        persistent: bool = False,
        options: Mapping[str, str] | None = None,
        program: str = "",
    ) -> None:
        self._program = program or find_program("redis-server")
        super().__init__()
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "unixsocket": str(self.folder / "redis.sock"),
            "save": "",
            "appendonly": "yes" if persistent else "no",
            # Only the process is killed, not the machine: what was given to the system stays.
            # With ``everysec`` it would wait for up to two seconds where the disk is slow.
            "appendfsync": "no",
            **(options or {}),
        }

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The URL of its unix socket."""
        return f"redis+socket://{self.folder}/redis.sock"

    def clear(self) -> None:
        """Delete every key of every database."""
        import redis

        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _command(self) -> list[str]:
        options = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        return [self._program, *options]

    def _answers(self) -> bool:
        import redis

        with redis.Redis(port=self.port, socket_timeout=2) as client:
            try:
                # False while it still loads its file.
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _forget(self) -> None:
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        for file in (*self.folder.glob("*.rdb"), *self.folder.glob("*.aof")):
            file.unlink()


class Sentinel(Server):
    """One that knows a Redis server as the master ``events``, and may want a password itself.

    Args:
        master_port: The server's.
        password: Its own.
        quorum: Sentinels that must agree that the master is gone.
    """

    name = "sentinel"

    def __init__(self, master_port: int, password: str = "", *, quorum: int = 1) -> None:
        self._program = find_program("redis-server")
        self._password = password
        super().__init__()
        wants = f"requirepass {password}\n" if password else ""
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\n{wants}"
            f"sentinel monitor events 127.0.0.1 {master_port} {quorum}\n"
            "sentinel down-after-milliseconds events 1000\n"
            "sentinel failover-timeout events 10000\n"
        )

    @property
    def url(self) -> str:
        return f"sentinel://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        return [self._program, str(self.folder / "sentinel.conf"), "--sentinel"]

    def _answers(self) -> bool:
        with redis.Redis(port=self.port, password=self._password or None) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


class RabbitMQServer(Server):
    """A RabbitMQ node of its own name, with an ``epmd`` of its own beside it.

    Starting takes 5 to 20 seconds.

    Args:
        streams: Offer stream queues. From 3.12 on a node cannot be told not to.
        options: More of its ``rabbitmq.conf``.
    """

    name = "rabbitmq"

    def __init__(
        self, *, streams: bool = True, options: Mapping[str, object] | None = None
    ) -> None:
        # Debian's wrappers on the PATH write to /var and insist on their own user.
        self._program = find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
        self._control = find_program("rabbitmqctl", "/usr/lib/rabbitmq/bin/rabbitmqctl")
        self._epmd_program = find_program("epmd")
        super().__init__()
        self._features = {} if streams else {"RABBITMQ_FEATURE_FLAGS": "quorum_queue"}
        self.node = f"wsprogress{self.port}@localhost"
        self.home = self.folder
        """The folder with the Erlang cookie."""
        self.epmd_port = free_port()
        self._dist_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            # The machine's fill level must not block publishers.
            "disk_free_limit.absolute = 1MB\n"
            + "".join(f"{name} = {value}\n" for name, value in (options or {}).items())
        )
        (self.folder / "enabled_plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self, *, fresh: bool = False) -> None:
        self._start_epmd()
        super().start(fresh=fresh)
        if not self._features:
            self.outlive_the_first_stream()

    def remove(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
        super().remove()

    def clear(self) -> None:
        """Delete the exchange of the events, the queues of its log, and Celery's default queue."""
        with self.connect() as connection:
            channel = connection.channel()
            channel.exchange_delete("celery_wsprogress")
            for queue in ("celery_wsprogress.log", "celery_wsprogress.epochs", "celery"):
                channel.queue_delete(queue)

    def url_of(
        self, user: str, *, may_declare: str, may_write: str = ".*", may_read: str = ".*"
    ) -> str:
        """Make a user, and return the URL for it.

        Args:
            user: A name of its own.
            may_declare: What the user may declare: a regular expression for the names of
                queues and exchanges.
            may_write: What the user may write to.
            may_read: What the user may read from.
        """
        for command in (
            ("add_user", user, "guest"),
            ("set_permissions", user, may_declare, may_write, may_read),
        ):
            self.control(*command)
        return f"amqp://{user}:guest@127.0.0.1:{self.port}//"

    def control(self, *command: str) -> str:
        """Have ``rabbitmqctl`` do something, and return what it prints."""
        done = subprocess.run(
            [self._control, "--quiet", *command],
            env=self._environment(),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    def count_connections(self) -> int:
        """How many the server holds, those included whose other end is gone unnoticed."""
        return len(self.control("list_connections", "pid", "--no-table-headers").split())

    def connect(self):
        """Open a bare AMQP connection; a context manager, closed by the caller."""
        import amqp

        connection = amqp.Connection(
            f"127.0.0.1:{self.port}", connect_timeout=10, read_timeout=20, write_timeout=20
        )
        try:
            connection.connect()
        except BaseException:
            connection.collect()
            raise
        return connection

    def outlive_the_first_stream(self) -> None:
        """Make a stream queue, the first of a new node, and wait until it is on disk.

        Killed within a second of that, RabbitMQ 3.10 never again finds any of its streams.
        """
        if self.knows_streams():
            return
        with self.connect() as connection:
            channel = connection.channel()
            channel.queue_declare(
                "first", durable=True, auto_delete=False, arguments={"x-queue-type": "stream"}
            )
            deadline = time.monotonic() + PATIENCE
            while not self.knows_streams() and time.monotonic() < deadline:
                time.sleep(0.05)
            channel.queue_delete("first")

    def _start_epmd(self) -> None:
        if self._epmd is None:
            self._epmd = self._spawn([self._epmd_program], self._environment())

    def knows_streams(self) -> bool:
        """Whether what decides who leads a stream is on its disk."""
        names = self.folder.glob("mnesia/*/coordination/*/names.dets")
        return any(b"rabbit_stream_coordinator" in file.read_bytes() for file in names)

    def _command(self) -> list[str]:
        return [self._program]

    def _environment(self) -> Mapping[str, str]:
        # One folder holds data, logs, the cookie (in HOME) and the pid file.
        folder = str(self.folder)
        return {
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin",
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            # The start script becomes the node instead of waiting for it, so that a killed
            # node is known to be gone; without reading from the console for which this is.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            **self._features,
        }

    def _answers(self) -> bool:
        with contextlib.suppress(Exception):
            self.connect().close()
            return True
        return False

    def _forget(self) -> None:
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)
