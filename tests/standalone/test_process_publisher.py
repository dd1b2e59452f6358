"""Where operations are written to, and that their ends are, whatever ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from celery import Celery
from support import process_state
from support.event_log import LogReader, spoken
from support.workers import Worker

from celery_wsprogress import operation
from celery_wsprogress.brokers import discovery
from celery_wsprogress.standalone import process_publisher

ROOT = Path(__file__).parents[2]


def run(code, **environ):
    """Run a program in a process of its own; returns what it printed."""
    return run_command([sys.executable, "-c", textwrap.dedent(code)], **environ)


def run_command(command, **environ):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSPROGRESS")}
    done = subprocess.run(
        command,
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def words_of(url, name):
    return spoken(LogReader(url).events(name))


def test_celery_is_never_loaded():
    loaded = run(
        """
        import sys
        from celery_wsprogress import (
            ProgressTracker, StreamingMixin, create_log_callback, create_progress_callback,
            get_websocket_status, is_websocket_running, operation, start_websocket_background,
            steps, stop_websocket_background, update_progress, ws_manager,
        )
        with operation("import") as op:
            op.update_progress(0.5)
        print(*sys.modules)
        """
    ).split()
    assert "kombu" in loaded
    assert not {"celery", "websockets", "jwt"} & set(loaded)


def test_a_script_that_ends_at_once_has_said_everything(redis_url):
    printed = run(
        """
        from celery_wsprogress import operation
        with operation("import") as op:
            op.result(1)
        print(op.operation_id)
        """,
        WSPROGRESS_URL=redis_url,
    )
    assert words_of(redis_url, printed.strip()) == ["started", "result", "completed"]


def test_so_has_one_that_fails(redis_url):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run(
            """
            from celery_wsprogress import operation
            with operation("import", operation_id="fails"):
                1 / 0
            """,
            WSPROGRESS_URL=redis_url,
        )
    assert words_of(redis_url, "fails") == ["started", "error"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_so_has_a_child_of_multiprocessing(redis_url, tmp_path, method):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            from celery_wsprogress import operation

            def work(name):
                with operation("child", operation_id=name) as op:
                    op.result(1)

            if __name__ == "__main__":
                work("parent")
                context = multiprocessing.get_context("{method}")
                child = context.Process(target=work, args=("child",))
                child.start()
                child.join()
            """
        )
    )
    run_command([sys.executable, str(script)], WSPROGRESS_URL=redis_url)
    for name in ("parent", "child"):
        assert words_of(redis_url, name) == ["started", "result", "completed"]


def test_so_has_a_process_of_celerys_pool_that_is_recycled(redis_url):
    """Each task is the last one of its process, and nothing else of ours is in the project."""
    app = Celery(broker=redis_url, set_as_current=False)
    names = [f"recycled {n}" for n in range(4)]
    with Worker("unstreamed", broker=redis_url, options=("--max-tasks-per-child", "1")):
        for name in names:
            app.send_task("unstreamed.plain", [name])
        for name in names:
            events = LogReader(redis_url).wait_for_end(name)
            assert spoken(events) == ["started", "log", "result", "completed"]


def test_a_broker_that_is_away_holds_nobody_up():
    run(
        """
        import time
        from celery_wsprogress import operation
        from celery_wsprogress.standalone import process_publisher
        with operation("import") as op:
            op.log("info", "into the void")
        while not process_publisher.process_publisher()._outbox.batches.broker_down:
            time.sleep(0.01)
        # Leaving waits no longer: the limit of `run` is above that of any wait.
        """,
        WSPROGRESS_URL="redis://127.0.0.1:1/0",
    )


def test_the_broker_is_that_of_the_celery_application(redis_url):
    printed = run(
        f"""
        import threading
        from celery import Celery
        from celery_wsprogress import operation
        app = Celery("proj", broker={redis_url!r})

        def work():
            with operation("import") as op:
                pass
            print(op.operation_id)

        # The application is the current one only in the thread that made it.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    )
    assert words_of(redis_url, printed.strip()) == ["started", "completed"]


def test_a_bad_setting_switches_events_off(monkeypatch, caplog):
    monkeypatch.setenv("WSPROGRESS_BUFFER_BYTES", "lots")
    with process_state.fresh(monkeypatch):
        for _ in range(2):
            with operation("import") as op:
                op.update_progress(0.5)
                with pytest.raises(TypeError):
                    op.update_progress("half")
    assert caplog.text.count("Operation events are switched off: wsprogress_buffer_bytes") == 1


def test_events_can_be_switched_off(monkeypatch, redis_url):
    monkeypatch.setenv("WSPROGRESS_ENABLED", "false")
    with process_state.fresh(monkeypatch, redis_url):
        with operation("import"):
            pass
        assert process_publisher.process_publisher() is None
    assert LogReader(redis_url).batches() == []


def test_the_choice_is_made_once(monkeypatch, redis_url):
    with process_state.fresh(monkeypatch, redis_url):
        first = process_publisher.process_publisher()
        monkeypatch.setenv("WSPROGRESS_URL", "redis://elsewhere/0")
        assert process_publisher.process_publisher() is first
        assert discovery.default_address().url == redis_url
