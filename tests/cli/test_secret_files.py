from __future__ import annotations

import pytest

from celery_wsprogress.cli.secret_files import read_url
from celery_wsprogress.errors import ConfigurationError


@pytest.mark.parametrize(
    "text", ["redis://:secret@h/0", "redis://:secret@h/0\n", " redis://:secret@h/0 \r\n"]
)
def test_a_url_is_read_from_a_file(tmp_path, text):
    file = tmp_path / "url"
    file.write_text(text)
    assert read_url("wsprogress_url_file", str(file)) == "redis://:secret@h/0"


@pytest.mark.parametrize("content", [b"", b"\n", b"secret\nsecret", b"secret\xff"])
def test_a_file_without_one_url_is_named_and_not_quoted(tmp_path, content):
    file = tmp_path / "url"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="wsprogress_url_file") as caught:
        read_url("wsprogress_url_file", str(file))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", ["nowhere", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_named(path):
    with pytest.raises(ConfigurationError, match="wsprogress_url_file"):
        read_url("wsprogress_url_file", path)
