"""Who was refused, in the log."""

from __future__ import annotations

import logging

import pytest

from celery_wsprogress.sidecar.http import refusals
from celery_wsprogress.sidecar.http.refusals import Refusals, RefusedHeader


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def origin(name):
    return RefusedHeader("origin", "--origin", name)


def test_each_is_named_once_with_what_would_let_it_in(lines):
    seen = Refusals(Clock())
    for _ in range(3):
        seen.log_once(origin("https://app.example"), "192.0.2.7")
        seen.log_once(RefusedHeader("host name", "--allow-host", "progress.example"), "192.0.2.7")
    said = "Refused a request from 192.0.2.7 with the {}; {} would let it in".format
    assert lines() == [
        said("origin https://app.example", "--origin https://app.example"),
        said("host name progress.example", "--allow-host progress.example"),
    ]


def test_pages_from_disk_are_let_in_by_an_option_without_a_name(lines):
    Refusals(Clock()).log_once(RefusedHeader("origin", "--file-pages", "null"), "192.0.2.7")
    assert lines() == [
        "Refused a request from 192.0.2.7 with the origin null; --file-pages would let it in"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "https://x.example; rm -rf ~",
        "https://\x1b[31mred\N{RIGHT-TO-LEFT OVERRIDE}",
        "$(id)",
        "a" * 100_000,
    ],
    ids=["shell", "terminal", "substitution", "long"],
)
def test_what_may_be_dangerous_is_shown_and_not_recommended(lines, name):
    Refusals(Clock()).log_once(origin(name), "192.0.2.7")
    [line] = lines()
    assert "--origin" not in line
    assert line.isprintable()
    assert len(line) < 300


def test_one_without_a_name_is_said_too(lines):
    Refusals(Clock()).log_once(origin(""), "192.0.2.7")
    assert lines() == ["Refused a request from 192.0.2.7 with no origin, or more than one"]


def test_who_makes_names_up_does_not_fill_the_log(lines):
    clock = Clock()
    seen = Refusals(clock)
    for number in range(10_000):
        seen.log_once(origin(f"https://{number}.example"), "192.0.2.7")
    assert len(lines()) == refusals.MAX_LOGGED + 1
    assert "no more are logged" in lines()[-1]
    clock.now += refusals.REPEAT_INTERVAL + 1
    seen.log_once(origin("https://0.example"), "192.0.2.7")
    assert len(lines()) == refusals.MAX_LOGGED + 2
