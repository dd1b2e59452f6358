"""Text from elsewhere, for terminals and logs."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from celery_wsprogress.printable import escape_control, escape_control_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 日本語, \N{SNOWMAN}", "plain, é, 日本語, \N{SNOWMAN}"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x9b31m\x85\u2028", r"\x9b31m\x85\u2028"),
        ("abc\N{RIGHT-TO-LEFT OVERRIDE}cba", r"abc\u202ecba"),
        ("\N{LEFT-TO-RIGHT ISOLATE}\N{ZERO WIDTH SPACE}", r"\u2066\u200b"),
        ("\ud800", r"\ud800"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text, shown):
    assert escape_control(text) == shown


@given(text=strategies.text())
def test_nothing_else_than_what_can_be_printed_is_left(text):
    assert escape_control(text).isprintable()
    assert [
        one for one in escape_control_lines(text) if not one.isprintable() and one != "\n"
    ] == []


def test_it_is_no_longer_than_is_wanted():
    assert escape_control("x" * 100, 10) == "x" * 9 + "…"
    assert escape_control("x" * 10, 10) == "x" * 10
