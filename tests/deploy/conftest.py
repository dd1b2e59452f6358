"""The machine of ``docs/deploy``."""

from __future__ import annotations

import pytest
from conftest import skip_or_fail
from support.servers import ServerMissingError, find_program


@pytest.fixture(scope="module")
def broker(redis_server):
    """The URL of a broker with nothing in it, on a machine that has nginx."""
    try:
        find_program("nginx")
    except ServerMissingError as exc:
        skip_or_fail(str(exc))
    redis_server.clear()
    return redis_server.url
