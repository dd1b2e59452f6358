"""What a log record shows of the exceptions that it was given."""

from __future__ import annotations

import json
import logging

import pytest

from celery_wsprogress import log_handler

SECRET = "the password is tweet"


@pytest.fixture
def logger():
    logger = logging.getLogger("shop.errors")
    logger.setLevel(logging.INFO)
    return logger


def log_all_ways(logger):
    error = ValueError(SECRET)
    logger.error(error)
    logger.error("row %d: %s, %r", 3, error, error)
    logger.error("row %(row)s: %(why)s", {"row": 4, "why": error})
    logger.error("broken", extra={"why": error})
    try:
        raise error
    except ValueError as exc:
        logger.exception(exc)  # noqa: TRY401 - as people write it


def test_without_their_texts_they_are_their_types(logger, begin, caplog):
    run = begin(streams_errors=False)
    log_all_ways(logger)
    assert run.sink.messages == [
        "ValueError", "row 3: ValueError, ValueError", "row 4: ValueError", "broken", "ValueError",
    ]  # fmt: skip
    assert run.sink.lines[3]["details"] == {"why": "ValueError"}
    assert run.sink.lines[4]["details"] == {"error_type": "ValueError"}
    assert SECRET not in json.dumps(run.sink.lines)
    # Other handlers see the record as it was.
    assert caplog.text.count(SECRET) >= 4


def test_a_formatter_is_not_given_their_texts_either(logger, begin):
    run = begin(streams_errors=False)
    log_handler().setFormatter(logging.Formatter("%(name)s: %(message)s"))
    try:
        log_all_ways(logger)
    finally:
        log_handler().setFormatter(None)
    assert run.sink.messages[1] == "shop.errors: row 3: ValueError, ValueError"
    assert SECRET not in json.dumps(run.sink.lines)


def test_with_their_texts_they_are_as_they_were(logger, begin):
    run = begin()
    log_all_ways(logger)
    assert run.sink.messages[:2] == [SECRET, f"row 3: {SECRET}, {ValueError(SECRET)!r}"]
