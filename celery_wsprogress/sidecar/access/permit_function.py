"""The function of the application that decides who may do what, in the place of tokens.

It gets the headers and the cookies of a request or a handshake, and returns the claims that a token
would have, or None. It is awaited, or called in a thread if it is a plain function.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.tokens import read_claims
from celery_wsprogress.errors import ConfigurationError, TokenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.access.grants import Grant

logger = logging.getLogger(__name__)

PERMIT_TIMEOUT: Final = 5.0
"""Seconds that the function may take; after that the request is refused."""

MAX_THREADS: Final = 8
"""Threads in which a plain function runs."""

DEFAULT_LIFETIME: Final = 3600.0
"""Seconds after which claims without ``exp`` end: then the client connects again, and the function
decides again."""


class PermitFunction:
    """Calls the function.

    Args:
        function: The function, or ``module:function``.
        timeout: Seconds that the function may take.

    Raises:
        ConfigurationError: there is no such function.
    """

    def __init__(self, function: str | Callable[..., Any], timeout: float = PERMIT_TIMEOUT) -> None:
        self._function = _load(function) if isinstance(function, str) else function
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="wsprogress-permit")

    def stop(self) -> None:
        """End the threads. One that does not return is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def grant(self, *arguments: Mapping[str, Any]) -> Grant | None:
        """Return what the function grants; None if it refuses, fails, or takes too long.

        Args:
            arguments: What it is called with: for the sidecar the headers of the request, by their
                names in lower case, and its cookies; in an ASGI application the ``scope``.
        """
        try:
            claims = await asyncio.wait_for(self._call(*arguments), self._timeout)
            return None if claims is None else _grant(claims)
        except TimeoutError:
            logger.error("The permit function took more than %g s", self._timeout)  # noqa: TRY400 - a traceback says nothing of the function
        except TokenError as exc:
            logger.error("The permit function returned no valid claims: %s", exc)  # noqa: TRY400 - as above
        except Exception as exc:  # noqa: BLE001 - user code may raise anything
            # Its text may quote what is secret in the headers.
            logger.warning("The permit function raised %s: refused", type(exc).__name__)
        return None

    async def _call(self, *arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(*arguments)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._function, *arguments)


def _grant(claims: object) -> Grant:
    if not isinstance(claims, Mapping):
        raise TokenError(f"they are {type(claims).__name__}, not a mapping")
    timestamp = time.time()
    return read_claims({"exp": timestamp + DEFAULT_LIFETIME, **claims}, timestamp=timestamp)


def _load(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        # As for `-A`.
        sys.path.insert(0, folder)
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigurationError("wsprogress_permit", path, f"{_ALLOWED} ({exc})") from None
    if not callable(found):
        raise ConfigurationError("wsprogress_permit", path, f"{_ALLOWED} (it is not callable)")
    return found


_ALLOWED: Final = "module:function of a function that can be imported"
