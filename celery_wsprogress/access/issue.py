"""Creation of tokens, in the web application that calls the tasks.

Not pure: it reads the clock, the environment and, if Celery is loaded, its configuration. The
format is in :mod:`celery_wsprogress.access.tokens`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.tokens import sign
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.setting_sources import from_conf, from_environ
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_EXPIRES_IN: Final = 3600.0
MAX_EXPIRES_IN: Final = 1e10
"""Seconds; some three hundred years."""


def create_token(
    ids: Iterable[str] | str, expires_in: float = DEFAULT_EXPIRES_IN, *, key: str | None = None
) -> str:
    """Create a token that lets its holder watch these operations.

    Give it to the page together with the task id; the page sends it in ``subscribe`` or
    ``authenticate``. ``"*"`` grants all operations, lists and selectors.

    Args:
        ids: Ids of operations (task ids), or a single id.
        expires_in: Seconds until the token expires, above 0.
        key: The sidecar's key; by default ``WSPROGRESS_KEY``, else ``wsprogress_key`` of the
            current Celery application.

    Raises:
        ConfigurationError: there is no key, the key is too short, an id is not a text, or
            ``expires_in`` is not above 0 or too long.
    """
    names = [ids] if isinstance(ids, str) else list(ids)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError("ids", names, "operation ids, as strings that are not empty")
    if not 0 < expires_in <= MAX_EXPIRES_IN:
        allowed = f"seconds above 0, and at most {MAX_EXPIRES_IN:.0f}"
        raise ConfigurationError("expires_in", expires_in, allowed)
    timestamp = time.time()
    claims = {
        "ids": sorted(set(names)),
        "iat": int(timestamp),
        "exp": math.ceil(timestamp + expires_in),
    }
    return sign(_key(key), claims)


def _key(given: str | None) -> str:
    celery = sys.modules.get("celery")
    conf = from_conf(celery.current_app.conf, ServeSettings) if celery else {}
    sources = (conf, from_environ(os.environ, ServeSettings), {"key": given})
    keys = [{"key": source["key"]} for source in sources if source.get("key")]
    key = ServeSettings.load(*keys).key
    if key is None:
        raise ConfigurationError("wsprogress_key", None, "set, to create tokens (WSPROGRESS_KEY)")
    return key
