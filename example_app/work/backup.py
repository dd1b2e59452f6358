"""A backup of the standard library, and a damaged byte in it."""

from __future__ import annotations

import io
import lzma
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class DamagedBackupError(Exception):
    """What is read back is not what was packed."""


class Backup:
    """A zip archive in memory."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._bytes = io.BytesIO()
        self._archive = zipfile.ZipFile(self._bytes, "w", zipfile.ZIP_LZMA, strict_timestamps=False)

    def add(self, path: Path) -> None:
        """Pack one file."""
        self._archive.write(path, path.relative_to(self._top))

    def names(self) -> list[str]:
        """Return what was packed, in order."""
        return self._archive.namelist()

    def damage(self) -> None:
        """Change one byte of the largest file in the second half: what a bad disk does."""
        members = self._archive.infolist()
        member = max(members[len(members) // 2 :], key=lambda info: info.compress_size)
        with self._bytes.getbuffer() as view:
            view[member.header_offset + member.compress_size // 2] ^= 0xFF

    def close(self) -> None:
        """Finish writing; from here on the backup is read."""
        self._archive.close()
        self._archive = zipfile.ZipFile(self._bytes)

    def verify(self, name: str) -> int:
        """Read one member back and return its size in bytes.

        Raises:
            DamagedBackupError: it is not what was packed.
        """
        try:
            return len(self._archive.read(name))
        except (zipfile.BadZipFile, lzma.LZMAError, EOFError) as exc:
            raise DamagedBackupError(f"{name} is damaged: {exc}") from exc
