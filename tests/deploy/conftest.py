"""The machine of ``docs/deploy``."""

from __future__ import annotations

import pytest
from conftest import make_or_skip
from support.servers import find_program


@pytest.fixture(scope="module")
def broker(redis_server):
    """The URL of a broker with nothing in it, on a machine that has nginx."""
    make_or_skip(lambda: find_program("nginx"))
    redis_server.clear()
    return redis_server.url
