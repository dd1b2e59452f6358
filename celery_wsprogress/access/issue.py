"""Creation of tokens, in the web application that calls the tasks.

Not pure: it reads the clock, the environment and, if Celery is loaded, its configuration. The
format is in :mod:`celery_wsprogress.access.tokens`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.grants import Right, View, parse_pattern
from celery_wsprogress.access.tokens import MAX_NAME_LENGTH, sign
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.setting_sources import from_conf, from_environ
from celery_wsprogress.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_EXPIRES_IN: Final = 3600.0
MAX_EXPIRES_IN: Final = 1e10
"""Seconds; some three hundred years."""


def create_token(
    ids: Iterable[str] | str = (),
    expires_in: float = DEFAULT_EXPIRES_IN,
    *,
    ops: Iterable[str] | str = (),
    can: Iterable[str] | None = None,
    view: str | None = None,
    sub: str | None = None,
    jti: str | None = None,
    key: str | None = None,
    kid: str | None = None,
) -> str:
    """Create a token that lets its holder watch these operations.

    Give it to the page together with the task id; the page sends it in ``subscribe`` or
    ``authenticate``. ``"*"`` grants all operations, lists and selectors. ``iss`` and ``aud`` are
    the first of ``token_issuers`` and ``token_audiences``, if these are set.

    Args:
        ids: Ids of operations (task ids), or a single id.
        expires_in: Seconds until the token expires, above 0.
        ops: Operations by id or by pattern: ``group:<group id>``, ``root:<root id>``,
            ``tag:<tag>``, ``type:<glob of task names>``, ``workflow:<id>`` (a workflow and all its
            tasks), ``sub:<name>`` (what its caller has sent as that person's), ``id:<id>``.
        can: What it grants: ``watch``, ``list``, ``cancel``, ``stats``. By default all but
            ``cancel``.
        view: What it shows: ``full`` (the default) or ``progress``.
        sub: Who holds it.
        jti: Id of the token, to revoke it.
        key: The sidecar's key; by default the first of ``WSPROGRESS_KEYS``, else
            ``WSPROGRESS_KEY``, else the same of the current Celery application.
        kid: Name of ``key``, where the sidecar has several.

    Raises:
        ConfigurationError: there is no key, the key is too short, an id is not a text, a pattern or
            a word is not known, or ``expires_in`` is not above 0 or too long.
    """
    names = [ids] if isinstance(ids, str) else list(ids)
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError("ids", names, "operation ids, as strings that are not empty")
    if not 0 < expires_in <= MAX_EXPIRES_IN:
        allowed = f"seconds above 0, and at most {MAX_EXPIRES_IN:.0f}"
        raise ConfigurationError("expires_in", expires_in, allowed)
    settings = _settings({"key": key})
    secret, kid = _signing_key(settings, kid, is_given=key is not None)
    timestamp = time.time()
    claims = {
        "ids": sorted(set(names)),
        "ops": _patterns(ops),
        "can": None if can is None else _words("can", can, Right),
        "view": None if view is None else _words("view", [view], View)[0],
        "sub": sub,
        "jti": jti,
        "iss": next(iter(settings.token_issuers), None),
        "aud": next(iter(settings.token_audiences), None),
        "iat": int(timestamp),
        "exp": math.ceil(timestamp + expires_in),
    }
    _check_names(sub=sub, jti=jti)
    return sign(secret, _without_nothing(claims), kid=kid)


def has_key() -> bool:
    """Return whether a key is set, so that :func:`create_token` needs none as an argument.

    Raises:
        ConfigurationError: it is too short.
    """
    settings = _settings({})
    return bool(settings.keys or settings.key)


def _signing_key(
    settings: ServeSettings, kid: str | None, *, is_given: bool
) -> tuple[str, str | None]:
    if settings.keys and not is_given:
        kid, secret = next(iter(settings.keys.items()))
        return secret, kid
    if settings.key is None:
        raise ConfigurationError("wsprogress_key", None, "set, to create tokens (WSPROGRESS_KEY)")
    return settings.key, kid


def _patterns(ops: Iterable[str] | str) -> list[str]:
    """Return the claim ``ops``."""
    texts = [ops] if isinstance(ops, str) else list(ops)
    for one in texts:
        try:
            parse_pattern(one)
        except (ValueError, AttributeError):
            raise ConfigurationError("ops", one, _PATTERNS) from None
    return sorted(set(texts))


_PATTERNS: Final = (
    "operation ids, or patterns that begin with id:, type:, tag:, group:, root:, workflow: or "
    "sub:, as strings"
)


def _words(name: str, words: Iterable[str], known: type[Right | View]) -> list[str]:
    allowed = [one.value for one in known]
    found = list(words)
    for one in found:
        if one not in allowed:
            raise ConfigurationError(name, one, f"one of: {', '.join(allowed)}")
    return found


def _check_names(**names: str | None) -> None:
    for name, value in names.items():
        if value is None:
            continue
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH:
            allowed = f"a string of 1 to {MAX_NAME_LENGTH} characters"
            raise ConfigurationError(name, value, allowed)


def _without_nothing(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims that say something; one of ``ids`` and ``ops`` is always there."""
    # An empty `can` grants nothing. Without the claim it would be the default.
    silent = {"ids"} if claims["ops"] else {"ops"}
    return {
        name: value
        for name, value in claims.items()
        if value is not None and (value or name not in silent)
    }


def _settings(given: dict[str, Any]) -> ServeSettings:
    """Return the settings that tokens depend on, from the application and the environment."""
    celery = sys.modules.get("celery")
    conf = from_conf(celery.current_app.conf, ServeSettings) if celery else {}
    sources = (conf, from_environ(os.environ, ServeSettings), given)
    return ServeSettings.load(
        *({name: source.get(name) for name in _USED_SETTINGS} for source in sources)
    )


_USED_SETTINGS: Final = ("key", "keys", "token_issuers", "token_audiences")
