"""JSON objects of the wire protocol whose fields are attributes as well. Pure."""

from __future__ import annotations

from typing import Any


class FrameFields(dict[str, Any]):
    """An object as it came, with its fields as attributes.

    It is a ``dict``: nothing that a newer sidecar sends is lost, and ``json.dumps`` takes it. The
    attributes that the class names are None where the object has no such field.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in type(self).__annotations__:
                return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"
