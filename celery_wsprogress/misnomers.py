"""Warnings for settings with an unknown name, with the name that was probably meant.

Worker and sidecar read the same sources, so each side knows the names of the other, too. Pure.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.origins import is_service_link
from celery_wsprogress.setting_sources import CONF_PREFIX, ENVIRONMENT_PREFIX
from celery_wsprogress.settings import ServeSettings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SETTINGS: Final = frozenset(
    field.name for side in (WorkerSettings, ServeSettings) for field in dataclasses.fields(side)
)

_ENVIRONMENT_ONLY: Final = frozenset(
    {
        "app",
        "broker",
        "log_level",
        "token",
        "ws_url",
        "forbid_skips",
    }  # the last one is of the tests
)
"""Variables that are no settings: defaults of command-line options."""

DJANGO_SETTINGS: Final = frozenset({"ws_url", "token_permit", "token_seconds"})
"""Settings of the Django app alone. Celery may read its own from the same module."""

_SERVICE_LINK: Final = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def in_environment(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each environment variable that begins like a setting and is none."""
    known = _SETTINGS | _ENVIRONMENT_ONLY
    return [
        _sentence(name, ENVIRONMENT_PREFIX, _nearest(suffix.lower(), known), str.upper)
        for name, suffix in _with_prefix(ENVIRONMENT_PREFIX, environ)
        if suffix.lower() not in known
        and not _SERVICE_LINK.fullmatch(suffix)
        and not is_service_link(environ[name])
    ]


def in_conf(conf: Any) -> list[str]:
    """Return a sentence for each key of Celery's configuration that is an unknown setting.

    Args:
        conf: ``app.conf``, or any mapping.
    """
    # Celery reads its configuration now if it has not yet (celery/app/base.py,
    # PendingConfiguration).
    conf = getattr(conf, "data", conf)
    namespace = getattr(conf, "prefix", None) or ""
    found: dict[str, str] = {}
    for mapping in getattr(conf, "maps", (conf,)):
        for key in [key for key in mapping if isinstance(key, str)]:
            name = key.lower().removeprefix(namespace.lower())
            if not name.startswith(CONF_PREFIX):
                continue
            suffix = name.removeprefix(CONF_PREFIX)
            if suffix in DJANGO_SETTINGS and key == ENVIRONMENT_PREFIX + suffix.upper():
                continue
            # A known name may be written in a way that `conf.get` does not find, as in capitals.
            if (
                suffix not in _SETTINGS
                or conf.get(CONF_PREFIX + suffix) is None is not mapping[key]
            ):
                found[key] = _sentence(key, CONF_PREFIX, _nearest(suffix, _SETTINGS), str.lower)
    return list(found.values())


def _with_prefix(prefix: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    return ((name, name[len(prefix) :]) for name in sorted(names) if name.startswith(prefix))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    # As `hosts` is contained in `allowed_hosts`.
    contained = [one for one in sorted(known) if f"_{one}_" in f"_{name}_"]
    return next(iter([*close, *contained]), None)


def _sentence(name: str, prefix: str, nearest: str | None, case: Any) -> str:
    meant = f"; was {case(prefix + nearest)} meant?" if nearest else ""
    return f"{name} is no setting of celery-wsprogress and changes nothing{meant}"
