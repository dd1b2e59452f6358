"""Hypothesis strategies for JSON: values, and texts of them as a stranger might send."""

from __future__ import annotations

from hypothesis import strategies as st

#: What UTF-8 can hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)

values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

objects = st.dictionaries(texts, values, max_size=4)


def nested(depth):
    """The text of as many lists within each other."""
    return "[" * depth + "]" * depth
