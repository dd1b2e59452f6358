from __future__ import annotations

import pytest

from celery_wsprogress.access.revocations import NOTHING_REVOKED, parse_revocations


def test_lines_name_tokens_and_their_holders():
    text = "# lost laptop\n\n jti:t1 \nsub:user:7\r\nsub: anna\n"
    assert parse_revocations(text) == ({"t1"}, {"user:7", "anna"})
    assert parse_revocations("") == NOTHING_REVOKED


@pytest.mark.parametrize("line", ["t1", "jti:", "sub: ", "id:op", "jti"])
def test_a_line_that_is_neither_is_named(line):
    with pytest.raises(ValueError, match="line 2 is neither"):
        parse_revocations(f"jti:t1\n{line}")
