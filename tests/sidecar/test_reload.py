from __future__ import annotations

import logging

from support import asyncio_runner

from celery_wsprogress.sidecar.reload import Source, reload


def source(what, outcome):
    async def read_again():
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Source(what, read_again)


def test_there_is_a_line_for_each_and_what_fails_keeps_none_of_the_others(caplog):
    caplog.set_level(logging.INFO)
    sources = [
        source("the first", ValueError("line 1 is not understood")),
        source("the second", FileNotFoundError(2, "No such file or directory", "/secret/path")),
        source("the third", True),
        source("the fourth", False),
    ]
    asyncio_runner.run(reload(sources))
    assert [one.getMessage() for one in caplog.records] == [
        "Reload: the first cannot be used, so it stays as it was: line 1 is not understood",
        "Reload: the second cannot be used, so it stays as it was: No such file or directory",
        "Reload: the third is new",
        "Reload: the fourth is unchanged",
        "Reload: all other settings, and the application, need a restart to change",
    ]
