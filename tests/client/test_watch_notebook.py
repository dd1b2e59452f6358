"""A live bar in a notebook: what is used of IPython is played by the tests."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import pytest
from support.conditions import eventually
from support.ports import free_port
from support.sample_events import progress
from support.task_lives import end, start

from celery_wsprogress import watch


class Shown:
    """What ``display`` showed, and what took its place."""

    def __init__(self):
        self.bundles = []

    def display(self, bundle, *, raw, display_id):
        assert raw
        assert display_id
        self.bundles.append(bundle)
        return self

    def update(self, bundle, *, raw):
        assert raw
        self.bundles.append(bundle)

    @property
    def texts(self):
        return [bundle["text/plain"].partition("] ")[2] for bundle in self.bundles]


@pytest.fixture
def shown(monkeypatch):
    """IPython, as the kernel of a notebook has it."""
    shown = Shown()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    shown.shell = type("Shell", (), {"kernel": None})()
    ipython.get_ipython = lambda: shown.shell
    display.display = shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def nothing_runs():
    return not [one for one in threading.enumerate() if one.name == "wsprogress-notebook"]


def test_a_cell_that_ends_with_a_watch_shows_a_live_bar(served, write, shown):
    watch("a", url=served.url)._ipython_display_()
    assert shown.texts[0] == "waiting: a"
    write(*start("a"), progress(0.5, operation_id="a", run="run-a", message="Half"))
    eventually(lambda: "50% running: Half" in shown.texts, what=f"half of it in {shown.texts}")
    write(*end("a"))
    eventually(nothing_runs, what="the thread to end")
    assert shown.texts[-1].startswith("100% completed")
    eventually(lambda: served.sidecar.stats()["connected_clients"] == 0)


def test_the_bar_says_what_to_do_where_there_is_no_sidecar(shown):
    watch("a", url=f"ws://localhost:{free_port()}")._ipython_display_()
    eventually(nothing_runs, what="the thread to end")
    assert "nothing listens there. Start the sidecar with" in shown.texts[-1]


def test_a_terminal_shows_a_line(shown, capsys):
    shown.shell = object()
    watch("a", url="ws://localhost:1")._ipython_display_()
    assert capsys.readouterr().out == "<watch of a at ws://localhost:1>\n"
    assert shown.bundles == []


def test_what_cannot_be_replaced_is_shown_once(shown, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython.display"], "display", lambda *_, **__: None)
    watch("a", url="ws://localhost:1")._ipython_display_()
    assert nothing_runs()
