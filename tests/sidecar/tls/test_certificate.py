from __future__ import annotations

import asyncio
import logging
import re

import pytest
from support import asyncio_runner, certificates

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.tls.certificate import CertificateFiles, ServerCertificate


def load(files, password=None, **options):
    paths = CertificateFiles(str(files.certificate), str(files.key), password)
    return ServerCertificate(paths, **options)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it looks at a log
            await asyncio.sleep(0.01)


def test_its_end_is_in_the_log(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    load(certificates.make(tmp_path))
    assert re.search(r"it is valid until 20\d\d-\d\d-\d\d \d\d:\d\d UTC", caplog.text)


@pytest.mark.parametrize(("days", "why"), [(-1, "has expired"), (100, "is not yet valid")])
def test_one_that_is_not_valid_now_is_a_warning(tmp_path, caplog, days, why):
    load(certificates.make(tmp_path, days=days))
    assert f"Clients will refuse the certificate: certificate {why}" in caplog.text


def test_no_files_are_no_tls():
    assert ServerCertificate.of(ServeSettings.load()) is None


@pytest.mark.parametrize("name", ["tls_cert", "tls_key"])
def test_one_file_needs_the_other(name):
    other = {"tls_cert": "wsprogress_tls_key", "tls_key": "wsprogress_tls_cert"}[name]
    with pytest.raises(ConfigurationError, match=f"{other} is None, but must be set, too"):
        ServerCertificate.of(ServeSettings.load({name: "/a.pem"}))


def damaged(data):
    return data.replace(b"\n", b"\n!", 2)


@pytest.mark.parametrize(
    ("file", "change", "why"),
    [
        ("certificate", None, "wsprogress_tls_cert is .*No such file"),
        ("key", None, "wsprogress_tls_key is .*No such file"),
        ("certificate", lambda _: b"no PEM", "wsprogress_tls_cert is .*no certificate in PEM"),
        ("key", lambda _: b"no PEM", "wsprogress_tls_key is .*no private key in PEM"),
        ("certificate", damaged, "wsprogress_tls_cert is .*damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, file, change, why):
    files = certificates.make(tmp_path)
    path = getattr(files, file)
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ConfigurationError, match=why):
        load(files)


def test_a_damaged_key_is_an_error_that_does_not_quote_it(tmp_path):
    files = certificates.make(tmp_path)
    secret = files.key.read_text().splitlines()[1]
    files.key.write_text(files.key.read_text().replace(secret, secret[::-1]))
    with pytest.raises(ConfigurationError) as caught:
        load(files)
    assert secret[:20] not in str(caught.value)
    assert secret[::-1][:20] not in str(caught.value)


def test_the_key_of_another_certificate_is_refused(tmp_path):
    files = certificates.make(tmp_path)
    (tmp_path / "other").mkdir()
    files.key.write_bytes(certificates.make(tmp_path / "other").key.read_bytes())
    with pytest.raises(ConfigurationError, match=r"tls_key is .*it is not the key of the cert"):
        load(files)


def test_the_password_of_a_key_is_in_a_file(tmp_path):
    files = certificates.make(tmp_path, password="open sesame")
    file = tmp_path / "password"
    with pytest.raises(ConfigurationError, match="--tls-key-password-file"):
        load(files)
    with pytest.raises(ConfigurationError, match=r"tls_key_password_file is .*No such file"):
        load(files, str(file))
    file.write_text("close sesame")
    with pytest.raises(ConfigurationError, match="it does not open the key") as caught:
        load(files, str(file))
    assert "sesame" not in str(caught.value)
    file.write_text("open sesame\n")
    assert load(files, str(file)).context.cert_store_stats()


def test_files_that_change_are_read_again_and_bad_ones_keep_what_was(tmp_path, caplog):
    caplog.set_level(logging.INFO)

    async def run():
        certificate = load(certificates.make(tmp_path), interval=0.01)
        first = certificate.context
        certificate.start()
        files = certificates.make(tmp_path, days=3)
        await until(lambda: certificate.context is not first)
        await until(lambda: caplog.text.count("The certificate was read") >= 2)
        second = certificate.context
        certificates.replace(files.key, b"nonsense")
        await until(lambda: "stays as it was: wsprogress_tls_key: it holds no" in caplog.text)
        assert certificate.context is second
        await certificate.stop()

    asyncio_runner.run(run())


def test_one_that_was_never_started_can_be_stopped(tmp_path):
    asyncio_runner.run(load(certificates.make(tmp_path)).stop())
