"""Where the handler is: what programs do with the root logger goes as it would without it."""

from __future__ import annotations

import io
import logging
import logging.config
from contextlib import contextmanager

import pytest

from celery_wsprogress import log_handler


@contextmanager
def unconfigured():
    """The root logger of a program that has configured nothing.

    Not in a fixture: pytest adds handlers of its own before the test begins, and takes them away.
    """
    root = logging.getLogger()
    before, level, propagates = root.handlers, root.level, root.propagate
    root.handlers = []
    try:
        yield root
    finally:
        root.handlers, root.level, root.propagate = before, level, propagates


@pytest.fixture
def logger():
    logger = logging.getLogger("tests.above.the.root")
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def test_a_record_is_sent_once_however_many_runs_there_were(logger, begin):
    with unconfigured() as root:
        for _ in range(2):
            begin()
        run = begin()
        logger.info("once")
        assert run.sink.messages == ["once"]
        assert root.handlers == []


def test_basic_config_works_after_a_run_and_inside_of_one(logger, begin, end):
    with unconfigured():
        run, output, later = begin(), io.StringIO(), io.StringIO()
        logger.info("before")
        logging.basicConfig(stream=output, format="%(message)s")
        logger.info("inside")
        end(run)
        logger.info("after")
        assert run.sink.messages == ["before", "inside"]
        assert output.getvalue() == "inside\nafter\n"
        logging.basicConfig(stream=later, format="%(message)s", force=True)
        again = begin()
        logger.info("again")
        assert again.sink.messages == ["again"]
        assert later.getvalue() == "again\n"


def test_a_configuration_in_the_middle_of_a_run_leaves_it_there(logger, begin):
    with unconfigured():
        run = begin()
        # What `dictConfig` does with the root logger, and nothing with pytest's handlers.
        configurator = logging.config.DictConfigurator({"version": 1})
        configurator.configure_root({"level": "WARNING"})
        logger.info("inside")
        assert run.sink.messages == ["inside"]


def test_warnings_are_printed_as_long_as_there_is_no_handler(logger, begin, end, capsys):
    with unconfigured():
        run = begin()
        logger.warning("printed")
        logger.info("not printed")
        logging.getLogger().warning("the root's")
        logger.addHandler(logging.NullHandler())
        logger.warning("handled")
        end(run)
        logger.handlers.clear()
        logging.getLogger("tests.above").addHandler(logging.NullHandler())
        logger.warning("handled by its parent")
        logging.getLogger("tests.above").handlers.clear()
        logger.warning("after")
        assert capsys.readouterr().err == "printed\nthe root's\nafter\n"
        assert run.sink.messages == ["printed", "not printed", "the root's", "handled"]


def test_nobody_prints_where_the_last_resort_was_taken_away(logger, begin, monkeypatch, capsys):
    with unconfigured():
        monkeypatch.setattr(logging, "lastResort", None)
        run = begin()
        logger.warning("not printed")
        assert capsys.readouterr().err == ""
        assert run.sink.messages == ["not printed"]


def test_on_a_root_logger_that_does_not_propagate_it_is_one_of_its_handlers(logger, begin):
    with unconfigured() as root:
        root.propagate = False
        for _ in range(2):
            run = begin()
        logger.info("told")
        assert run.sink.messages == ["told"]
        assert root.handlers == [log_handler()]


def test_the_level_of_the_handler_holds(logger, begin):
    with unconfigured():
        run = begin()
        log_handler().setLevel(logging.ERROR)
        logger.warning("below")
        logger.error("above")
        log_handler().setLevel(logging.NOTSET)
        assert run.sink.messages == ["above"]
