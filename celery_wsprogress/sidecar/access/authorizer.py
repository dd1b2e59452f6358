"""The permit that a request or a connection begins with, and what keeps it up to date.

A request may bring a token in an ``Authorization`` header or in the cookie that the settings name.
A connection may add tokens in its commands.

Runs in: the event loop.
"""

from __future__ import annotations

import contextlib
import time
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from celery_wsprogress.access.pages import cookies_allowed
from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.errors import CommandError, TokenError
from celery_wsprogress.protocol.messages import decode_command
from celery_wsprogress.sidecar.access.key_store import KeyStore
from celery_wsprogress.sidecar.access.permit_function import PermitFunction
from celery_wsprogress.sidecar.access.revocation_file import RevocationFile
from celery_wsprogress.sidecar.http.handshake import permit_for, single_header
from celery_wsprogress.sidecar.reload import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from websockets.http11 import Request

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.settings import ServeSettings


class Authorizer:
    """Gives permits.

    Args:
        settings: How the sidecar serves.
        function: Decides in the place of the function that the settings name.

    Raises:
        ConfigurationError: a file that the settings name cannot be used.
    """

    def __init__(self, settings: ServeSettings, function: PermitFunction | None = None) -> None:
        self._settings = settings
        self.verifier = TokenVerifier(
            issuers=settings.token_issuers, audiences=settings.token_audiences
        )
        """Verifies the tokens, where any are needed."""
        self._keys = KeyStore(settings, self.verifier)
        if function is None and settings.permit is not None:
            function = PermitFunction(settings.permit)
        self._function = function
        self._revoked = (
            None
            if settings.revoked_tokens is None
            else RevocationFile(settings.revoked_tokens, self.verifier)
        )

    def start(self, on_revoked: Callable[[], None]) -> None:
        """Begin to keep keys and revocations up to date.

        Args:
            on_revoked: Called when other tokens are revoked than before.
        """
        self._keys.start()
        if self._revoked is not None:
            self._revoked.start(on_revoked)

    @property
    def sources(self) -> list[Source]:
        """The files and URLs that can be read again."""
        found = []
        if self._settings.public_keys:
            found.append(Source("the set of public keys", self._keys.read_again))
        if self._revoked is not None:
            found.append(Source("the file of revoked tokens", self._revoked.read_again))
        return found

    async def stop(self) -> None:
        """End the work in the background."""
        await self._keys.stop()
        if self._function is not None:
            self._function.stop()
        if self._revoked is not None:
            await self._revoked.stop()

    async def permit_for(self, request: Request, scope: Mapping[str, Any] | None = None) -> Permit:
        """Return the permit that a request begins with.

        Args:
            request: The request.
            scope: What the function of the application is called with in an ASGI application,
                instead of headers and cookies.

        Raises:
            TokenError: the token in the ``Authorization`` header is not valid, or the function of
                the application refuses, and there are no keys.
        """
        guarded = self._settings.needs_tokens
        permit = permit_for(request, self._settings, self.verifier if guarded else None)
        if self._function is not None and await self._ask(self._function, permit, request, scope):
            return permit
        if guarded:
            await self._add_tokens(permit, request)
        return permit

    async def _ask(
        self,
        function: PermitFunction,
        permit: Permit,
        request: Request,
        scope: Mapping[str, Any] | None,
    ) -> bool:
        """Add what the function grants. Return whether it grants anything."""
        arguments = self._headers_and_cookies(request) if scope is None else (scope,)
        grant = await function.grant(*arguments)
        if grant is None or self.verifier.revocations.cover(grant):
            if not self._settings.has_keys:
                raise TokenError("Refused")
            return False
        permit.add_grant(grant, timestamp=time.time())
        return True

    def _headers_and_cookies(self, request: Request) -> tuple[Mapping[str, str], ...]:
        headers = {
            name.lower(): ", ".join(request.headers.get_all(name))
            for name in request.headers
            if name.lower() != "cookie"
        }
        return headers, self._cookies(request)

    async def _add_tokens(self, permit: Permit, request: Request) -> None:
        authorization = single_header(request.headers, "Authorization")
        if authorization is not None:
            await self._add(permit, _bearer(authorization))
        cookie = self._cookies(request).get(self._settings.token_cookie or "")
        if cookie is not None:
            # Browsers send cookies by themselves, and show no page the answer to a handshake: who
            # has an old one connects without rights, and learns from the replies what is missing.
            with contextlib.suppress(TokenError):
                await self._add(permit, cookie)

    async def _add(self, permit: Permit, token: str) -> None:
        await self._find_key(token)
        permit.add(token, timestamp=time.time())

    def _cookies(self, request: Request) -> dict[str, str]:
        """Return the cookies of a request; none of a page that may not use them."""
        headers = request.headers
        origin, host = single_header(headers, "Origin"), single_header(headers, "Host")
        found: dict[str, str] = {}
        if cookies_allowed(origin, host, self._settings.origins):
            for header in headers.get_all("Cookie"):
                with contextlib.suppress(CookieError):
                    cookies = SimpleCookie(header)
                    found.update({name: cookie.value for name, cookie in cookies.items()})
        return found

    def may_need_key(self, frame: str) -> bool:
        """Return whether :meth:`prepare` must run before a command."""
        return bool(self._settings.public_keys) and '"token"' in frame

    async def prepare(self, frame: str) -> None:
        """Fetch the public keys before a command is executed whose token needs a new one."""
        with contextlib.suppress(CommandError):
            await self._find_key(decode_command(frame).get("token"))

    async def _find_key(self, token: object) -> None:
        if self.verifier.needs_new_key(token):
            await self._keys.refresh()


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
