"""The tokens that are not valid any more, though their time is not over.

They are listed in a text file: a line ``jti:<id>`` revokes one token, ``sub:<name>`` all tokens of
one holder. Empty lines and lines that begin with ``#`` are passed over.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from celery_wsprogress.access.grants import Grant


class Revocations(NamedTuple):
    """What is revoked."""

    token_ids: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()

    def cover(self, grant: Grant) -> bool:
        """Return whether the token of a grant is revoked."""
        return grant.token_id in self.token_ids or grant.subject in self.subjects


NOTHING_REVOKED: Final = Revocations()


def parse_revocations(text: str) -> Revocations:
    """Read the lines of the file.

    Raises:
        ValueError: a line is of neither kind. It is named by its number.
    """
    found: dict[str, set[str]] = {"jti": set(), "sub": set()}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        kind, _, value = entry.partition(":")
        if kind not in found or not value.strip():
            raise ValueError(f"line {number} is neither jti:<id> nor sub:<name>")
        found[kind].add(value.strip())
    return Revocations(frozenset(found["jti"]), frozenset(found["sub"]))
