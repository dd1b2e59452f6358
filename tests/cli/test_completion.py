"""What the shell completes, as the page about the terminal tells it."""

from __future__ import annotations

import sys

from support.programs import run

PROGRAM = "from celery_wsprogress.cli import main; main(prog_name='celery-wsprogress')"
COMMAND = (sys.executable, "-c", PROGRAM)


def test_the_script_for_each_shell():
    for shell in ("bash", "zsh", "fish"):
        done = run(command=COMMAND, _CELERY_WSPROGRESS_COMPLETE=f"{shell}_source")
        assert "_CELERY_WSPROGRESS_COMPLETE" in done.stdout, shell


def test_commands_and_options():
    def completed(words, number):
        variables = {"COMP_WORDS": words, "COMP_CWORD": number}
        done = run(command=COMMAND, _CELERY_WSPROGRESS_COMPLETE="bash_complete", **variables)
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert completed("celery-wsprogress hi", "1") == {"history"}
    assert "--token-file" in completed("celery-wsprogress list --to", "2")
    assert "running" in completed("celery-wsprogress list --state ru", "3")
