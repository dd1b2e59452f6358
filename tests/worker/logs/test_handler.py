"""The handler in a process of its own kind: no worker, and a run that the test begins."""

from __future__ import annotations

import logging
import logging.config
import re

import pytest

from celery_wsprogress import log_handler
from celery_wsprogress.worker.logs import handler
from celery_wsprogress.worker.logs.options import LogOptions


@pytest.fixture
def logger():
    logger = logging.getLogger("tests.of.ours")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def formatter():
    yield log_handler().setFormatter
    log_handler().setFormatter(None)


def test_outside_of_a_run_it_does_nothing(logger, begin, end):
    run = begin()
    end(run)
    logger.error("before or after")
    assert run.sink.lines == []
    assert log_handler().handle(logger.makeRecord("a", 50, "", 0, "", (), None)) is False


def test_a_record_is_sent_once_however_many_loggers_have_the_handler(logger, begin):
    run = begin()
    logger.addHandler(log_handler())
    logger.info("once")
    logger.removeHandler(log_handler())
    assert run.sink.messages == ["once"]


def test_records_of_the_worker_and_of_this_package_are_not_the_tasks(logger, begin):
    run = begin()
    names = ("celery", "celery.app.trace", "celery.redirected", "celery_wsprogress.worker.context")
    for name in names:
        logging.getLogger(name).error("not the task's")
    for name in ("celery_extra", "celery.task", "celery.task.mine"):
        logging.getLogger(name).error(name)
    assert run.sink.messages == ["celery_extra", "celery.task", "celery.task.mine"]


def test_an_inner_run_hides_its_lines_and_an_unpublished_one_has_none_of_its_own(
    logger, begin, end
):
    outer = begin()
    inner = begin(None, outer)
    logger.info("of the inner one, which streams nothing")
    end(inner)
    unpublished = begin(None, outer, sink=False)
    logger.info("of one that nobody can watch")
    end(unpublished)
    logger.info("of the outer one")
    assert outer.sink.messages == ["of one that nobody can watch", "of the outer one"]
    assert inner.sink.messages == []


def test_a_run_that_was_not_left_is_over(logger, begin):
    killed = begin()
    begin(None)
    logger.info("of the next task in this thread")
    assert killed.sink.messages == []


def test_the_formatter_makes_the_message_without_exceptions(logger, begin, formatter, caplog):
    formatter(logging.Formatter("%(levelname)s: %(message)s"))
    run = begin()
    logger.error("broke", exc_info=ValueError("secret"))
    assert run.sink.messages == ["ERROR: broke"]
    # The others have it.
    assert "secret" in caplog.text


def test_a_formatter_that_raises_lets_nothing_through(logger, begin, formatter, caplog):
    class Broken(logging.Formatter):
        def format(self, record):
            raise ValueError(record.getMessage())

    handler._warn_once.cache_clear()
    formatter(Broken())
    run = begin()
    for _ in range(2):
        logger.info("secret")
    assert run.sink.lines == []
    [warning] = [one for one in caplog.records if one.name == handler.__name__]
    assert warning.getMessage().endswith("raises ValueError")


def test_a_filter_changes_a_copy(logger, begin, caplog):
    def hide(record):
        record.msg, record.args = re.sub("secret", "…", record.getMessage()), ()
        del record.password
        return True

    caplog.set_level(logging.INFO)
    run = begin()
    log_handler().addFilter(hide)
    try:
        logger.info("a %s", "secret", extra={"password": "secret", "user": "me"})
    finally:
        log_handler().removeFilter(hide)
    assert run.sink.lines[0]["message"] == "a …"
    assert run.sink.lines[0]["details"] == {"user": "me"}
    assert "a secret" in caplog.text
    assert caplog.records[0].password == "secret"


def test_arguments_that_do_not_fit_leave_the_text(logger, begin, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    run = begin()
    logger.propagate = False
    logger.addHandler(log_handler())
    logger.info("no %d", "number")
    logger.removeHandler(log_handler())
    logger.propagate = True
    assert run.sink.messages == ["no %d"]


def test_a_value_that_logs_itself_does_not_loop(logger, begin):
    class Talker:
        def __str__(self):
            logger.info("from within")
            return "talker"

    run = begin()
    # Only ours: other handlers make the text of the value, too.
    logger.propagate = False
    logger.addHandler(log_handler())
    logger.info("%s", Talker())
    logger.removeHandler(log_handler())
    logger.propagate = True
    assert run.sink.messages == ["talker"]


def test_lines_that_were_left_out_are_counted_at_the_end(logger, begin, end):
    run = begin(LogOptions(1, captures_stdout=False, lines_per_second=1.0))
    for number in range(100):
        logger.info("%d", number)
    end(run)
    *sent, last = run.sink.lines
    assert last["message"].startswith(f"{100 - len(sent)} lines were left out")
    assert (last["level"], last["logger"]) == ("warning", "celery_wsprogress")
    logger.info("after the end")
    assert run.sink.lines[-1] is last


def test_it_can_be_named_in_a_configuration():
    configurator = logging.config.DictConfigurator({"version": 1})
    assert configurator.configure_handler({"()": "celery_wsprogress.log_handler"}) is log_handler()
