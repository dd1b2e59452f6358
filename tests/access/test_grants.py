from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from celery_wsprogress.access.grants import glob_covers, parse_pattern
from celery_wsprogress.protocol.globs import matches_glob


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("*", "*"),
        ("*", "proj.?"),
        ("*", "proj.add"),
        ("proj.*", "proj.*"),
        ("proj.*", "proj.tasks.*"),
        ("proj.*", "proj.?dd"),
        ("proj.*.add", "proj.a.*.add"),
        ("proj.?dd", "proj.add"),
        ("[ab]", "[ab]"),
        ("[ab]", "a"),
    ],
)
def test_globs_that_cover_others(granted, asked):
    assert glob_covers(granted, asked)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("proj.*", "*"),
        ("proj.*", "pro*"),
        ("?", "*"),
        ("[*]", "*"),
        ("a*]", "a[b]"),
        ("proj.add", "proj.*"),
        ("proj.*", "other.add"),
    ],
)
def test_globs_that_do_not(granted, asked):
    assert not glob_covers(granted, asked)


globs = st.text("ab*?[]!-", max_size=6)


@given(globs, globs, st.text("ab]!-", max_size=6))
@example("?", "*", "ab")
@example("a*]", "a[b]", "ab")
def test_what_a_covered_glob_matches_is_matched_by_the_other(granted, asked, text):
    if glob_covers(granted, asked) and matches_glob(text, asked):
        assert matches_glob(text, granted)


@given(st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(text):
    try:
        pattern = parse_pattern(text)
    except ValueError:
        assert not text or text.partition(":")[0] in {
            "id", "type", "tag", "group", "root", "workflow", "sub"
        }  # fmt: skip
    else:
        assert text in {pattern.value, f"{pattern.kind.value}:{pattern.value}"}
