"""Values that are larger than they look, and the functions that make JSON or a text of values."""

from __future__ import annotations

from collections.abc import Mapping

from celery_wsprogress.protocol import jsonable


def shared(layers):
    """So many dictionaries, which written out are two to the power of that."""
    inner: object = "x"
    for _ in range(layers):
        inner = {"a": inner, "b": inner}
    return inner


class Endless(Mapping):
    """A mapping whose keys never end; it counts what is asked of it."""

    def __init__(self):
        self.asked = 0

    def __iter__(self):
        while True:
            self.asked += 1
            yield f"key {self.asked}"

    def __getitem__(self, key):
        return key

    def __len__(self):
        raise AssertionError("nobody asks for its length")


WAYS = [
    jsonable.to_builtins,
    jsonable.to_object,
    jsonable.to_result,
    jsonable.to_text,
    jsonable.describe_error,
    jsonable.to_tags,
    jsonable.to_level,
]
