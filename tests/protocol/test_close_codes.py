from __future__ import annotations

import pytest

from celery_wsprogress.protocol.close_codes import is_final, restart_delay, retry_after


@pytest.mark.parametrize("code", [1003, 1007, 1008, 1009, 4500, 4999])
def test_codes_that_mean_never_again(code):
    assert is_final(code)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4000, 4001, 4008, 4499, 5000])
def test_codes_that_do_not(code):
    assert not is_final(code)


@pytest.mark.parametrize(
    ("code", "reason", "delay"),
    [
        (1012, '{"retry_ms": 1500}', 1.5),
        (1012, '{"retry_ms": 0}', 0.0),
        (1012, '{"retry_ms": -5}', 0.0),
        (1012, '{"retry_ms": 1e9}', 60.0),
        (1012, '{"retry_ms": "soon"}', None),
        (1012, '{"retry_ms": null}', None),
        (1012, '{"retry_ms": NaN}', 0.0),
        (1012, '{"retry_ms": %s}' % ("9" * 400), None),
        (1012, "[" * 100_000, None),
        (1012, "{}", None),
        (1012, "[1]", None),
        (1012, "", None),
        (1012, "restarting", None),
        (1006, '{"retry_ms": 1500}', None),
    ],
)
def test_a_restarting_sidecar_says_when(code, reason, delay):
    assert restart_delay(code, reason) == delay


@pytest.mark.parametrize(
    ("status", "header", "delay"),
    [
        (503, "2", 2.0),
        (503, " 0 ", 0.0),
        (503, "86400", 60.0),
        (503, "-1", None),
        (503, "²", None),
        (503, "٣", None),
        (503, "9" * 400, None),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        (503, None, None),
        (429, "2", None),
    ],
)
def test_a_sidecar_that_is_not_there_yet_says_when(status, header, delay):
    assert retry_after(status, header) == delay
