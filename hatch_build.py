"""The description on the package index: README.md without what leads nowhere there.

The index shows the text without the files beside it. So pictures of the repository are left out,
and links into it keep their words; links to other sites and to headings stay.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE: Final = re.compile(r"^!\[[^\]]*\]\((?!https://)[^)]*\)\n\n?", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https://|#)[^)]*\)")


class IndexDescription(MetadataHookInterface):
    """Sets ``readme``, which is dynamic in ``pyproject.toml``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set it."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": _LINK.sub(r"\1", _PICTURE.sub("", text)),
        }
