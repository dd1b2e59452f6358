from __future__ import annotations

import uuid

import pydantic
import pytest
from celery import Celery, states
from celery.exceptions import (
    ChordError,
    MaxRetriesExceededError,
    NotRegistered,
    Retry,
    SoftTimeLimitExceeded,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.utils.serialization import UnpickleableExceptionWrapper

from celery_wsprogress.brokers import result_backend
from celery_wsprogress.brokers.result_backend import Outcome, fetch_outcome, open_backend
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol.jsonable import WITHHELD


@pytest.fixture
def backend():
    app = Celery("tests", backend="cache+memory://", set_as_current=False)
    return open_backend(app)


@pytest.fixture
def task_id():
    # Celery's memory is one for all of a process.
    return str(uuid.uuid4())


@pytest.mark.parametrize(
    ("state", "stored", "expected"),
    [
        (states.SUCCESS, {"a": 1}, Outcome("completed", {"a": 1})),
        (states.SUCCESS, None, Outcome("completed", None)),
        (states.FAILURE, ValueError("broke"), Outcome("error", None, "broke", "ValueError")),
        (
            states.REVOKED,
            ValueError("x"),
            Outcome("cancelled", None, "the task was revoked", "TaskRevokedError"),
        ),
        (states.STARTED, {}, None),
        (states.RETRY, ValueError("x"), None),
        ("PROGRESS", {"current": 1}, None),
    ],
)
def test_what_a_backend_says(backend, task_id, state, stored, expected):
    backend.store_result(task_id, stored, state)
    assert fetch_outcome(backend, task_id) == expected


def test_a_task_nobody_knows(backend):
    assert fetch_outcome(backend, "nobody's") is None


def test_a_failure_that_was_stored_by_hand_with_something_else(backend, task_id):
    backend.store_result(task_id, {"no": "exception"}, states.FAILURE)
    found = fetch_outcome(backend, task_id)
    assert (found.end, found.error) == ("error", "the task says that it failed")


def test_an_error_of_the_backend_is_no_end_of_a_task(backend):
    """Only a stored exception that is none is the task's; else the backend could not be asked."""

    def broken(*_):
        raise ValueError("no JSON")

    backend.decode = broken
    backend.store_result("stored", 1, states.SUCCESS)
    with pytest.raises(ValueError, match="no JSON"):
        fetch_outcome(backend, "stored")


def test_results_that_go_to_the_caller_only_can_be_asked_by_nobody():
    app = Celery("rpc", broker="memory://", backend="rpc://", set_as_current=False)
    assert open_backend(app) is None
    assert open_backend(None, "rpc://") is None
    assert fetch_outcome(app.backend, "anyone's") is None


@pytest.mark.parametrize("url", ["bogus://:hunter2@host", "nonsense"])
def test_what_celery_does_not_know_is_named_without_its_password(url):
    with pytest.raises(ConfigurationError) as caught:
        open_backend(None, url)
    assert "a result backend that Celery knows" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_application_without_a_backend_has_none():
    assert open_backend(Celery("without", set_as_current=False)) is None
    assert open_backend(None) is None


SECRET = "tweet-tweet"


def exhausted():
    """What Celery raises of a task without tries left."""
    app = Celery("proj", broker="memory://", set_as_current=False)

    @app.task(name="proj.add", bind=True, max_retries=0)
    def add(self, *args, **kwargs):
        self.retry()

    [result] = [add.apply((SECRET, [1]), {"b": SECRET})]
    return result.result


class Model(pydantic.BaseModel):
    number: int


def invalid():
    try:
        Model(number=SECRET)
    except pydantic.ValidationError as exc:
        return exc


@pytest.mark.parametrize(
    "make",
    [
        exhausted,
        lambda: ChordError(f"Dependency 1 raised {exhausted()!r}"),
        lambda: RuntimeError(exhausted()),
        lambda: ExceptionGroup("several", [exhausted(), ValueError("plain")]),
        lambda: ExceptionGroup("several", [ExceptionGroup("inner", [exhausted()])]),
        lambda: UnpickleableExceptionWrapper("mod", "Odd", (str(exhausted()),)),
        lambda: Retry(exc=exhausted()).exc,
        invalid,
    ],
)
def test_no_text_carries_the_arguments_of_a_task(make):
    assert SECRET in repr(make()) or SECRET in str(make())
    said, _ = result_backend.describe_failure(make())
    assert SECRET not in said
    assert said


@pytest.mark.parametrize(
    ("exception", "said"),
    [
        (TimeLimitExceeded(1), "the task ran longer than its time limit of 1 seconds"),
        (TimeLimitExceeded(), "the task ran longer than its time limit"),
        (SoftTimeLimitExceeded(), "the task ran longer than its soft time limit"),
        (
            WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 0."),
            "Worker exited prematurely: signal 9 (SIGKILL)",
        ),
        (WorkerLostError("of one's own"), "of one's own"),
        (Terminated(-15), "the task was terminated (signal 15)"),
        (NotRegistered("proj.add"), "the worker does not know the task proj.add"),
        (MaxRetriesExceededError("of one's own"), "of one's own"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
         "two (2 sub-exceptions): ValueError: a; KeyError: 'b'"),
        (KeyError("x"), "'x'"),
        (ValueError(), "ValueError"),
    ],
    ids=str,
)  # fmt: skip
def test_ends_are_told_in_words(exception, said):
    assert result_backend.describe_failure(exception) == (said, type(exception).__name__)


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeyError(SECRET),
        lambda: ExceptionGroup(SECRET, [KeyError(SECRET)]),
        lambda: UnpickleableExceptionWrapper("mod", "Odd", (SECRET,), SECRET),
        lambda: WorkerLostError(SECRET),
        lambda: WorkerLostError(f"Worker exited prematurely: {SECRET}"),
        lambda: WorkerLostError(f"Worker exited prematurely: exitcode 1 {SECRET}"),
        lambda: TimeLimitExceeded(SECRET),
        lambda: SoftTimeLimitExceeded(SECRET),
        lambda: Terminated(SECRET),
        lambda: NotRegistered(SECRET),
        lambda: MaxRetriesExceededError(f"Can't retry {SECRET}[1] args:[] kwargs:{{}}"),
        lambda: ChordError(SECRET),
        lambda: ChordError(f"Dependency 1 raised KeyError({SECRET!r})"),
        lambda: ChordError(f"Callback error: {ValueError(SECRET)!r}"),
        lambda: ChordError(f"Dependency 1 raised '{SECRET}'"),
        lambda: SECRET,
        exhausted,
        invalid,
    ],
)
def test_where_only_the_type_leaves_no_text_of_anybody_does(make):
    exception = make()
    said, name = result_backend.describe_failure(exception, full=False)
    assert said
    assert SECRET not in said + name
    assert name == result_backend.describe_failure(exception)[1]


@pytest.mark.parametrize(
    "exception",
    [
        TimeLimitExceeded(1),
        SoftTimeLimitExceeded(),
        WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 0."),
        Terminated(-15),
        NotRegistered("proj.add"),
        ChordError("Dependency 1 raised KeyError('x')"),
        exhausted(),
    ],
    # Not the text: that of tries used up holds an id, and processes must agree about names.
    ids=lambda exception: type(exception).__name__,
)
def test_what_celery_itself_means_is_told_all_the_same(exception):
    assert result_backend.describe_failure(
        exception, full=False
    ) == result_backend.describe_failure(exception)


def test_a_chord_says_which_part_failed_and_with_what_but_not_what_that_said():
    """Whoever fails the chord does not know whether the text of its part may leave."""
    error = ChordError(f"Dependency 1-2 raised KeyError({SECRET!r})")
    assert result_backend.describe_failure(error) == (
        "Dependency 1-2 raised KeyError",
        "ChordError",
    )


class Inner(Exception):
    """Not found by the name that a backend stores where it is made in a function."""


def local():
    class Local(Exception):
        pass

    return Local(SECRET)


@pytest.mark.parametrize(
    ("exception", "name"),
    [
        (ExceptionGroup("several", [ValueError(SECRET)]), "ExceptionGroup"),
        (invalid(), "ValidationError"),
        (local(), "Local"),
        (Inner(SECRET), "Inner"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, SECRET), "UnicodeDecodeError"),
    ],
)
def test_the_type_of_what_a_backend_could_not_make_again_is_the_one_that_was_raised(
    backend, task_id, exception, name
):
    backend.store_result(task_id, exception, states.FAILURE)
    found = fetch_outcome(backend, task_id)
    assert found.error_type == name
    assert found.error
    assert found.visible_error(full=True) == found.error
    assert found.visible_error(full=False) == WITHHELD


def test_the_reason_of_a_stored_end_is_shown_where_its_text_is_not(backend, task_id):
    backend.store_result(task_id, TimeLimitExceeded(1), states.FAILURE)
    said = "the task ran longer than its time limit of 1 seconds"
    assert fetch_outcome(backend, task_id).visible_error(full=False) == said
