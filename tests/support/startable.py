"""What is started on entering and removed on leaving: servers, clusters of them, workers."""

from __future__ import annotations

from typing import Self


class Startable:
    """A context manager that leaves nothing behind, also where its start fails."""

    def start(self) -> None:
        """Start it, and return once it works."""
        raise NotImplementedError

    def remove(self) -> None:
        """End it, and delete what it has written."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()
