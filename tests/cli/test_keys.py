from __future__ import annotations

import pytest

from celery_wsprogress.cli.keys import BACKSPACE, DOWN, ENTER, ESCAPE, UP, parse_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1b[B\x1bOA\x1bOB", [UP, DOWN, UP, DOWN]),
        ("\x1b", [ESCAPE]),
        ("a\x7f\b\r\n", ["a", BACKSPACE, BACKSPACE, ENTER, ENTER]),
        ("\u6f22\x00\x01", ["\u6f22"]),
        ("", []),
    ],
)
def test_what_a_terminal_sends(text, keys):
    assert parse_keys(text) == keys
