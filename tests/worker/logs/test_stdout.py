from __future__ import annotations

import contextlib
import contextvars
import copy
import io
import logging
import sys
import threading

import pytest

from celery_wsprogress.worker.logs import stdout
from celery_wsprogress.worker.logs.options import LogOptions
from celery_wsprogress.worker.logs.stdout import StdoutTee


@contextlib.contextmanager
def replaced():
    """A stream in place of ``sys.stdout``, with a tee before it."""
    target = io.StringIO()
    # Not in a fixture: pytest sets its own one before the test begins.
    with contextlib.redirect_stdout(target):
        stdout.install()
        yield target


def test_outside_of_a_run_it_is_the_other_stream():
    with replaced() as target:
        print("one", 2)
        assert sys.stdout.write("three\n") == 6
        sys.stdout.writelines(["four\n", "five\n"])
        assert target.getvalue() == sys.stdout.getvalue() == "one 2\nthree\nfour\nfive\n"
        assert sys.stdout.isatty() is False
        with pytest.raises(AttributeError):
            _ = sys.stdout.nothing


def test_it_is_installed_once():
    with replaced() as target:
        stdout.install()
        assert sys.stdout.wsprogress_target is target


def test_a_line_that_passes_two_tees_is_sent_once(begin):
    run = begin(LogOptions(1, captures_stdout=True, lines_per_second=100.0))
    target, logger = io.StringIO(), logging.getLogger("tests.of.stdout")

    class Logs:
        """What some projects put in the place of ``sys.stdout``."""

        def write(self, text):
            logger.error("printed: %s", text)
            return len(text)

    for one in (StdoutTee(StdoutTee(target)), StdoutTee(Logs())):
        with contextlib.redirect_stdout(one):
            assert sys.stdout.write("a line\n") == 7
    assert run.sink.messages == ["a line", "a line"]
    assert target.getvalue() == "a line\n"


def test_each_thread_has_a_line_of_its_own(begin):
    run = begin(LogOptions(1, captures_stdout=True, lines_per_second=100.0))
    with contextlib.redirect_stdout(StdoutTee(io.StringIO())):
        print("be", end="")
        thread = threading.Thread(target=contextvars.copy_context().run, args=(print, "other"))
        thread.start()
        thread.join()
        print("gun")
    assert run.sink.messages == ["other", "begun"]


def test_there_may_be_no_stdout(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    stdout.install()
    assert sys.stdout is None


def test_what_the_other_stream_raises_is_raised():
    with replaced() as target:
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")
        target.close()
        with pytest.raises(ValueError, match="closed"):
            print("too late")


def test_it_can_be_copied():
    assert copy.copy(StdoutTee(sys.stderr)).wsprogress_target is sys.stderr
