from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amqp import Channel
    from support.servers import RabbitMQServer


@pytest.fixture
def channel(rabbitmq_server: RabbitMQServer) -> Iterator[Channel]:
    """A bare channel to the shared RabbitMQ: what an administrator could do."""
    with rabbitmq_server.connect() as connection:
        yield connection.channel()
