from __future__ import annotations

import pytest

from celery_wsprogress.urls import is_loopback


@pytest.mark.parametrize(
    "name",
    ["localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "127.8.9.10", "::1",
     "[::1]"],
)  # fmt: skip
def test_loopback_names(name):
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "example.org", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example",
     "0.0.0.0", "::", "192.168.1.7", "127.1", "0x7f.0.0.1", "2130706433", "localhost:80"],
)  # fmt: skip
def test_names_that_are_not_loopback(name):
    assert not is_loopback(name)
