"""Certificates for tests: a new key and what it signs of itself, in files."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


class Files(NamedTuple):
    """A certificate for ``localhost`` and its key."""

    certificate: Path
    key: Path

    @property
    def options(self) -> list[str]:
        """What `serve` is given."""
        return ["--tls-cert", str(self.certificate), "--tls-key", str(self.key)]

    @property
    def settings(self) -> dict[str, str]:
        return {"tls_cert": str(self.certificate), "tls_key": str(self.key)}

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts this certificate alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make(folder: Path, *, days: float = 2, password: str | None = None) -> Files:
    """Make a certificate that ends in some days, or has ended; files that are there are replaced.

    Args:
        folder: Where the files are.
        days: From now.
        password: Of the key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = Files(folder / "certificate.pem", folder / "key.pem")
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    replace(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    replace(files.certificate, certificate.public_bytes(Encoding.PEM))
    return files


def replace(file: Path, data: bytes) -> None:
    """Write a file in one step, as one should."""
    new = file.with_suffix(".new")
    new.write_bytes(data)
    new.replace(file)
