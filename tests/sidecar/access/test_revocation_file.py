from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support import asyncio_runner

from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.sidecar.access.revocation_file import RevocationFile


def replace(file, text):
    """Write a file in one step, as one should."""
    new = Path(f"{file}.new")
    new.write_text(text)
    new.replace(file)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it looks at a log
            await asyncio.sleep(0.01)


def test_the_file_is_read_again_when_it_has_changed_and_keeps_what_it_cannot_read(tmp_path, caplog):
    file, verifier, changes = tmp_path / "revoked", TokenVerifier(), []

    async def run():
        file.write_text("jti:t1\n")
        one = RevocationFile(str(file), verifier, interval=0.01)
        assert verifier.revocations.token_ids == {"t1"}
        one.start(lambda: changes.append(verifier.revocations.subjects))
        replace(file, "jti:t1\nsub:user\n")
        await until(lambda: changes == [{"user"}])
        replace(file, "nonsense\n")
        await until(lambda: "line 1" in caplog.text)
        file.unlink()
        await until(lambda: "No such file" in caplog.text)
        assert verifier.revocations == ({"t1"}, {"user"})
        replace(file, "sub:other\n")
        await until(lambda: changes == [{"user"}, {"other"}])
        await one.stop()

    asyncio_runner.run(run())
    assert caplog.text.count("line 1") == 1


@pytest.mark.parametrize("text", [None, "nonsense", b"\xff"])
def test_a_file_that_cannot_be_used_is_named_at_the_start(tmp_path, text):
    file = tmp_path / "revoked"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match="wsprogress_revoked_tokens is"):
        RevocationFile(str(file), TokenVerifier())


def test_one_that_was_never_started_can_be_stopped(tmp_path):
    file = tmp_path / "revoked"
    file.touch()
    asyncio_runner.run(RevocationFile(str(file), TokenVerifier()).stop())
