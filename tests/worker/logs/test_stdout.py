from __future__ import annotations

import contextlib
import copy
import io
import sys

import pytest

from celery_wsprogress.worker.logs import stdout
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
