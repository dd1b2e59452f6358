"""kombu's transports: their client libraries, and the module here that uses each.

Checks a broker's URL. Connects to nothing and loads no client library.
"""

from __future__ import annotations

import difflib
import re
from importlib.util import find_spec
from typing import Final, NamedTuple

#: kombu's transport for a URL without a scheme (kombu/connection.py, ``Connection._init_params``).
_DEFAULT: Final = "amqp"

_IN_ONE_PROCESS: Final = re.compile(
    r"memory:|sql(a|alchemy)\+sqlite(\+\w+)?://(/?:memory:)?/?(\?|;|$)"
)


class Driver(NamedTuple):
    """The client library of a transport."""

    modules: tuple[str, ...]
    package: str
    """The requirement to install."""


_QPID: Final = Driver(("qpid", "qpidtoollibs"), "kombu[qpid]")
_SQS: Final = Driver(("boto3", "pycurl"), "kombu[sqs]")
_KAFKA: Final = Driver(("confluent_kafka",), "kombu[confluentkafka]")
_SQL: Final = Driver(("sqlalchemy",), "kombu[sqlalchemy]")
_SLMQ: Final = Driver(("softlayer_messaging",), "kombu[slmq]")
_NONE: Final = Driver((), "")

#: Every transport of kombu 5.7 (``kombu.transport.TRANSPORT_ALIASES``), with the packages of its
#: metadata.
DRIVERS: Final = {
    "amqp": _NONE,
    "amqps": _NONE,
    "pyamqp": _NONE,
    # The events use py-amqp; see connection.py.
    "librabbitmq": _NONE,
    "memory": _NONE,
    "filesystem": _NONE,
    "redis": _NONE,
    "rediss": _NONE,
    "sentinel": _NONE,
    "confluentkafka": _KAFKA,
    "kafka": _KAFKA,
    "SQS": _SQS,
    "sqs": _SQS,
    "mongodb": Driver(("pymongo",), "kombu[mongodb]"),
    "zookeeper": Driver(("kazoo",), "kombu[zookeeper]"),
    "sqlalchemy": _SQL,
    "sqla": _SQL,
    "SLMQ": _SLMQ,
    "slmq": _SLMQ,
    "qpid": _QPID,
    "consul": Driver(("consul",), "kombu[consul]"),
    "etcd": Driver(("etcd",), "python-etcd"),
    "azurestoragequeues": Driver(
        ("azure.storage.queue", "azure.identity"), "kombu[azurestoragequeues]"
    ),
    "azureservicebus": Driver(("azure.servicebus",), "kombu[azureservicebus]"),
    "pyro": Driver(("Pyro4",), "kombu[pyro]"),
    "gcpubsub": Driver(("google.cloud.pubsub_v1", "google.cloud.monitoring_v3"), "kombu[gcpubsub]"),
    "pgmq": Driver(("pgmq", "psycopg"), "kombu[pgmq]"),
}

#: Schemes of other programs, and kombu's name for each.
_OTHER_NAMES: Final = {
    "rabbitmq": "amqp",
    "rabbit": "amqp",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "redis+socket",
    "mongo": "mongodb",
    "postgres": "sqla+postgresql",
    "postgresql": "sqla+postgresql",
    "mysql": "sqla+mysql",
    "sqlite": "sqla+sqlite",
    "db": "sqla",
    "file": "filesystem",
    "zk": "zookeeper",
}

#: The module of this package for a transport; ``exchange`` for the others.
_MODULES: Final = {
    "redis": "redis.stream",
    "rediss": "redis.stream",
    "sentinel": "redis.stream",
    "amqp": "amqp.stream",
    "amqps": "amqp.stream",
    "pyamqp": "amqp.stream",
    "librabbitmq": "amqp.stream",
}

_FIRST_SCHEME: Final = re.compile(r"([^;/?#@]*?)://")
_NEXT_URL: Final = re.compile(r";(?=[A-Za-z][\w+.-]*://)")


def module_of(url: str) -> str:
    """Return the module of this package that opens the broker's writers and readers."""
    return _MODULES.get(transport_of(url), "exchange")


def is_in_one_process(url: str) -> bool:
    """Return whether only the process that writes can read."""
    return _IN_ONE_PROCESS.match(url) is not None


def transport_of(url: str) -> str:
    """Return kombu's transport for a URL, or for the first of several."""
    found = _FIRST_SCHEME.match(url)
    if found is None:
        return _DEFAULT
    # `sqla+sqlite://` names the transport before the plus. kombu lowers any other scheme (kombu
    # 5.7, utils/url.py: urlparse).
    name, plus, _ = found[1].partition("+")
    return name if plus or name in DRIVERS else name.lower()


def objection(url: str) -> str:
    """Return what a URL must be and is not, for a ``ConfigurationError``; ``""`` if it is valid."""
    alternatives = _NEXT_URL.split(url)
    kinds = {_MODULES.get(name, name) for name in map(transport_of, alternatives)}
    found = next(filter(None, map(_objection_to_one, alternatives)), "")
    if not found and len(kinds) > 1:
        return "a broker URL whose alternatives are of one kind"
    return found


def _objection_to_one(url: str) -> str:
    name = transport_of(url)
    if "." in name or ":" in name:
        # A transport of the user's own, by its path.
        return ""
    driver = DRIVERS.get(name)
    if driver is None:
        return _unknown(name)
    missing = [module for module in driver.modules if not _is_there(module)]
    if missing:
        return (
            f"one whose client library is installed: {name}:// needs {' and '.join(missing)} "
            f"(pip install '{driver.package}')"
        )
    if name == "pyro":
        # kombu 5.7, transport/pyro.py registers "queue.Empty", and the class is `_queue.Empty`.
        return (
            "of another transport: kombu's pyro:// fails whenever a queue is empty, also for Celery"
        )
    return ""


def _unknown(name: str) -> str:
    from kombu.transport import TRANSPORT_ALIASES  # noqa: PLC0415 - loads no client library

    if name in TRANSPORT_ALIASES:
        # A transport of a newer kombu, or one that somebody registered.
        return ""
    other_name = _OTHER_NAMES.get(name.lower())
    near = difflib.get_close_matches(name.lower(), TRANSPORT_ALIASES, 1)
    if other_name or near:
        return f"a broker URL that kombu knows; did you mean {other_name or near[0]}:// ?"
    return "a broker URL that kombu knows: redis://…, amqp://… or one of its other transports"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        # A parent package is missing.
        return False
