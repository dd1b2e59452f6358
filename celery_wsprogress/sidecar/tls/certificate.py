"""The certificate of the port and its key: loaded from files, and again when these have changed.

What is loaded is tried in a handshake in memory, in which a client trusts this certificate alone.
So a key or a certificate that cannot serve is found at the start, and whether it has expired.

Runs in: the event loop. The files are read in a thread.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.sidecar.file_watch import CHECK_INTERVAL, FileWatch
from celery_wsprogress.sidecar.reload import Source

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings

logger = logging.getLogger(__name__)

MAX_PASSWORD_BYTES: Final = 1_000

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"
_ENCRYPTED: Final = b"ENCRYPTED"


class CertificateFiles(NamedTuple):
    """Where the certificate is."""

    certificate: str
    """PEM: the certificate of the server, then those of who has signed it."""
    key: str
    """PEM: its private key."""
    password: str | None
    """Holds the password of the key; None if it has none."""


class Loaded(NamedTuple):
    """What the files hold."""

    context: ssl.SSLContext
    problem: str | None
    """Why clients will not trust the certificate, at any authority; None if they may."""
    not_after: float | None
    """When it ends, in epoch seconds; None if there is a problem."""


class BadFile(ValueError):
    """One of the files cannot be used.

    Args:
        setting: The setting that names it.
        reason: Why, as part of a sentence.
    """

    def __init__(self, setting: str, reason: str) -> None:
        self.setting = setting
        self.reason = reason
        super().__init__(f"wsprogress_{setting}: {reason}")


class ServerCertificate:
    """The certificate that new connections get.

    When a file changes, all are loaded again. Files that cannot be used change nothing. Connections
    that are open keep what they have.

    Args:
        files: Where it is.
        interval: Seconds between two looks whether the files have changed.

    Raises:
        ConfigurationError: a file cannot be used. It names the setting, and quotes nothing that the
            file holds.
    """

    def __init__(self, files: CertificateFiles, interval: float = CHECK_INTERVAL) -> None:
        self.context: ssl.SSLContext
        """What a new connection offers to its client."""
        self._files = files
        paths = [one for one in files if one is not None]
        self._watch = FileWatch(
            "The certificate stays as it was", paths, self._read, self._use, interval
        )
        try:
            self._watch.read_first()
        except BadFile as exc:
            allowed = f"a file that can be used ({exc.reason})"
            place = getattr(files, _FIELDS[exc.setting])
            raise ConfigurationError(f"wsprogress_{exc.setting}", place, allowed) from None

    @classmethod
    def of(cls, settings: ServeSettings) -> ServerCertificate | None:
        """Return the certificate that the settings name; None if they name none.

        Raises:
            ConfigurationError: one of the files is not named, or cannot be used.
        """
        certificate, key, password = (
            settings.tls_cert,
            settings.tls_key,
            settings.tls_key_password_file,
        )
        if certificate is None and key is None:
            return None
        if certificate is None or key is None:
            missing = "wsprogress_tls_cert" if certificate is None else "wsprogress_tls_key"
            raise ConfigurationError(missing, None, "set, too: TLS needs a certificate and its key")
        return cls(CertificateFiles(certificate, key, password))

    def start(self) -> None:
        """Watch the files from now on."""
        self._watch.start()

    async def read_again(self) -> bool:
        """Load the files if one has changed. Return whether one has.

        Raises:
            BadFile: they cannot be used. What was loaded before holds.
        """
        return await self._watch.read_again()

    async def stop(self) -> None:
        """Watch them no longer."""
        await self._watch.stop()

    def _read(self) -> Loaded:
        return load(self._files)

    def _use(self, loaded: Loaded) -> None:
        self.context = loaded.context
        if loaded.problem is not None:
            logger.warning("Clients will refuse the certificate: %s", loaded.problem)
        elif loaded.not_after is not None:
            end = datetime.fromtimestamp(loaded.not_after, UTC)
            logger.info(
                "The certificate was read; it is valid until %s", f"{end:%Y-%m-%d %H:%M} UTC"
            )


def sources_of(certificate: ServerCertificate | None) -> list[Source]:
    """Return what SIGHUP has read again."""
    return [] if certificate is None else [Source("the certificate", certificate.read_again)]


def load(files: CertificateFiles) -> Loaded:
    """Load a certificate and its key. Runs in: a thread, or before the loop.

    Raises:
        BadFile: a file cannot be read, or the key is not that of the certificate.
    """
    certificate = _read(files.certificate, "tls_cert")
    if _CERTIFICATE not in certificate:
        raise BadFile("tls_cert", "it holds no certificate in PEM")
    key = _read(files.key, "tls_key")
    if _KEY not in key:
        raise BadFile("tls_key", "it holds no private key in PEM")
    if files.password is None and _ENCRYPTED in key:
        raise BadFile("tls_key", "it has a password: name its file with --tls-key-password-file")
    client, context = _client(certificate), new_context()
    try:
        # Without a password OpenSSL would ask at the terminal.
        context.load_cert_chain(files.certificate, files.key, lambda: _password(files.password))
    except ssl.SSLError as exc:
        raise _explain(exc, has_password=files.password is not None) from None
    return Loaded(context, *_try(client, context))


def new_context() -> ssl.SSLContext:
    """Return what a server offers: TLS 1.2 and 1.3, with the ciphers of :mod:`ssl`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client could have the server compute new keys again and again.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(path: str, setting: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise BadFile(setting, exc.strerror or "it cannot be read") from None


def _password(path: str | None) -> bytes:
    return (
        b"" if path is None else _read(path, "tls_key_password_file")[:MAX_PASSWORD_BYTES].strip()
    )


def _explain(exc: ssl.SSLError, *, has_password: bool) -> BadFile:
    if exc.reason == "KEY_VALUES_MISMATCH":
        return BadFile("tls_key", "it is not the key of the certificate")
    if has_password:
        return BadFile("tls_key_password_file", "it does not open the key")
    return BadFile("tls_key", exc.reason or "OpenSSL cannot load it")


_FIELDS: Final = {
    "tls_cert": "certificate",
    "tls_key": "key",
    "tls_key_password_file": "password",
}


def _client(certificate: bytes) -> ssl.SSLContext:
    """Return a client that trusts a certificate by itself, whoever has signed it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client.load_verify_locations(cadata=certificate.decode("ascii", "replace"))
    except ssl.SSLError:
        raise BadFile("tls_cert", "its PEM is damaged") from None
    return client


def _try(
    client_context: ssl.SSLContext, context: ssl.SSLContext
) -> tuple[str | None, float | None]:
    """Shake hands in memory. Return what is wrong, and when the certificate ends."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        # Four steps are enough for TLS 1.3, and a system may allow 1.2 only.
        for one in (client, server) * 3:
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
    except ssl.SSLCertVerificationError as exc:
        return exc.verify_message, None
    except ssl.SSLError as exc:
        return (exc.reason or "no handshake is possible").replace("_", " ").lower(), None
    found = client.getpeercert() or {}
    return None, ssl.cert_time_to_seconds(str(found["notAfter"]))
