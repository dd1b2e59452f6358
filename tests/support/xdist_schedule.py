"""How pytest-xdist spreads the tests over processes."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling


class ByFile(LoadScopeScheduling):
    """The tests of a file stay together and keep their order, as they share what the file starts.

    What a file does on RabbitMQ is a piece of its own: that takes longest, and the other brokers
    need not wait for it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} on RabbitMQ" if "rabbitmq" in test else file
