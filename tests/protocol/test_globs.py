"""A glob matches what fnmatch says it does, and few compiled ones are kept."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.protocol import globs

texts = st.text("ab.*?[!]-", max_size=12)


@given(texts, texts)
def test_a_glob_matches_as_fnmatch_does(text, pattern):
    assert globs.matches_glob(text, pattern) is fnmatchcase(text, pattern)


def test_the_patterns_of_clients_do_not_pile_up():
    for number in range(globs.MAX_COMPILED + 10):
        assert not globs.matches_glob("proj.add", f"{number}*")
    assert globs._compile.cache_info().currsize == globs.MAX_COMPILED
