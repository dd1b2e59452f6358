"""The machine of ``docs/deploy``."""

from __future__ import annotations

import pytest
from conftest import skip_or_fail
from support.deployments import Site
from support.servers import ServerMissingError, find_program


@pytest.fixture(scope="module")
def machine(redis_server):
    """nginx, two sidecars behind it, and a broker with nothing in it."""
    try:
        find_program("nginx")
    except ServerMissingError as exc:
        skip_or_fail(str(exc))
    redis_server.clear()
    with Site(redis_server.url) as site:
        yield site
