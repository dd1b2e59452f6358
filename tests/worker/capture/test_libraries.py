"""When the libraries are patched: looked at in fresh interpreters."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap

import pytest

SETUP = """
import io, sys
sys.path.insert(0, "tests")
from support.trackers import make_tracker
from celery_wsprogress import capture_tqdm
from celery_wsprogress.worker import context
tracker = make_tracker()
context.current_tracker.set(tracker)
shown = tracker.sink.shown
"""

BARS = {
    "tqdm": ("from tqdm import tqdm", "tqdm(range(3), file=io.StringIO())", "tqdm.std"),
    "rich": ("from rich.progress import track", "track(range(3))", "rich.progress"),
}


def run(code):
    code = SETUP + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=BARS)
def library(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return BARS[request.param]


def test_a_library_that_is_imported_later(library):
    load, make, module = library
    run(f"""
        with capture_tqdm():
            assert "{module}" not in sys.modules
            {load}
            list({make})
        assert shown[-1][1:3] == (3, 3)
        found = sys.modules["{module}"]
        # As if nobody had been there.
        assert type(found.__loader__).__name__ == "SourceFileLoader"
        assert found.__spec__.loader is found.__loader__
        import inspect
        assert "def " in inspect.getsource(found)
    """)


def test_a_finder_of_before_python_3_4_is_passed_over(library):
    load, make, _ = library
    run(f"""
        class Old:
            def find_module(self, name, path=None):
                return None

        sys.meta_path.insert(0, Old())
        with capture_tqdm():
            {load}
            list({make})
        assert shown[-1][1:3] == (3, 3)
    """)


def test_a_library_that_is_imported_after_the_block(library):
    load, make, _ = library
    run(f"""
        with capture_tqdm():
            pass
        {load}
        list({make})
        assert shown == []
        with capture_tqdm():
            list({make})
        assert shown[-1][1:3] == (3, 3)
    """)


def test_a_library_that_was_imported_before(library):
    load, make, _ = library
    run(f"""
        {load}
        for _ in range(3):
            with capture_tqdm():
                list({make})
        assert shown[-1][1:3] == (3, 3)
        # Of three that are patched only once.
        assert [one[1] for one in shown].count(0) == 3
    """)


def test_where_nothing_captures_nothing_is_changed(library):
    load, _, module = library
    run(f"""
        import celery_wsprogress.worker.task
        {load}
        assert not any(type(one).__name__ == "ImportWatch" for one in sys.meta_path)
        classes = [getattr(sys.modules["{module}"], name, None) for name in ("tqdm", "Progress")]
        assert not any(hasattr(cls, "_celery_wsprogress") for cls in classes)
    """)


def test_capturing_imports_no_library():
    run("""
        with capture_tqdm(), capture_tqdm():
            import json
        assert not {"tqdm", "rich", "asyncio"} & set(sys.modules)
        assert sum(type(one).__name__ == "ImportWatch" for one in sys.meta_path) == 1
        import importlib.util
        assert importlib.util.find_spec("no_such_module") is None
        assert importlib.util.find_spec("tqdm.std").loader.get_filename().endswith("std.py")
    """)


def test_a_version_that_cannot_be_patched_is_left_alone():
    run("""
        import types
        odd = sys.modules["tqdm.std"] = types.ModuleType("tqdm.std")
        with capture_tqdm():
            pass
        odd.tqdm = int
        with capture_tqdm():
            pass
        assert odd.tqdm is int
    """)


def test_outside_of_a_task_nothing_is_captured():
    run("""
        import threading
        context.current_tracker.set(None)
        with capture_tqdm():
            pass
        assert not any(type(one).__name__ == "ImportWatch" for one in sys.meta_path)
    """)
