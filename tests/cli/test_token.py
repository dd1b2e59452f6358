from __future__ import annotations

import time

import pytest
from support.programs import CELERY, OURS, run
from support.tokens import KEY, verifier


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_a_token_is_printed(command):
    options = ["--can", "watch", "--view", "progress", "--sub", "user", "--expires-in", "60"]
    done = run("token", "group:g", "op", *options, command=command, WSPROGRESS_KEY=KEY)
    assert (done.returncode, done.stderr) == (0, "")
    grant = verifier().read(done.stdout.strip(), timestamp=time.time())
    assert grant.patterns == {("group", "g"), ("id", "op")}
    assert (grant.rights, grant.view, grant.subject) == ({"watch"}, "progress", "user")


@pytest.mark.parametrize("arguments", [["group:"], [], ["op", "--can", "fly"], ["sub:"]])
def test_what_cannot_be_granted_is_named(arguments):
    done = run("token", *arguments, WSPROGRESS_KEY=KEY)
    assert done.returncode == 2
    assert not done.stdout


def test_without_a_key_the_setting_is_named():
    done = run("token", "op")
    assert done.returncode == 2
    assert "WSPROGRESS_KEY" in done.stderr
