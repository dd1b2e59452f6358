"""The libraries whose bars can be captured, and when their classes are patched.

A library that is imported already is patched when something begins to capture. One that is not is
patched when the program imports it, by a finder that was added to ``sys.meta_path`` then. It leaves
the search to the finders after it. Nothing here imports a library, and a process in which nothing
captures changes nothing.
"""

from __future__ import annotations

import logging
import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.capture import rich_bars, tqdm_bars
from celery_wsprogress.worker.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

logger = logging.getLogger(__name__)

_PATCHES: Final[Mapping[str, tuple[str, Callable[[Any], None]]]] = {
    "tqdm.std": ("tqdm", tqdm_bars.patch),
    "rich.progress": ("Progress", rich_bars.patch),
}
"""By module: the class without which it is not loaded yet, and what patches it."""

_patched: Final[dict[str, object]] = {}


def install() -> None:
    """Patch the libraries that are loaded, and those that will be. Any thread may call it."""
    if len(_patched) == len(_PATCHES):
        return
    for name in _PATCHES:
        if name in sys.modules:
            _patch_once(sys.modules[name])
    if _watch not in sys.meta_path:
        # First: another one may know the library and not ask on.
        sys.meta_path.insert(0, _watch)


def _patch_once(module: ModuleType) -> None:
    needed, patch = _PATCHES[module.__name__]
    mine = object()
    # Another thread may be importing it, or patch it, at this moment.
    if not hasattr(module, needed) or _patched.setdefault(module.__name__, mine) is not mine:
        return
    try:
        patch(module)
    except Exception as exc:  # noqa: BLE001 - a version in which everything is different
        sentence = f"Bars of {module.__name__} cannot be captured"
        log_internal_error(logger, logging.WARNING, sentence, exc)


class ImportWatch(MetaPathFinder):
    """Patches the libraries when they are imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with a loader that patches the module."""
        if fullname not in _PATCHES or fullname in _patched:
            return None
        for finder in list(sys.meta_path):
            # One of before Python 3.4 (six 1.15) has no such method, and is passed over by Python.
            search = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if search is None else search(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _PatchingLoader(spec.loader)
                return spec
        return None


class _PatchingLoader(Loader):
    """Loads a module with its own loader, and patches it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module."""
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module."""
        # Whoever asks the module for its loader (importlib.resources, inspect) is given its own.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _patch_once(module)


_watch: Final = ImportWatch()
