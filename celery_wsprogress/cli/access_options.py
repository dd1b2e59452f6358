"""The options of ``serve`` that say who may connect, and what for.

:mod:`.serve_options` has the others.
"""

from __future__ import annotations

from typing import Final

import click

ACCESS_OPTIONS: Final = (
    click.option(
        "--origin",
        "origins",
        multiple=True,
        metavar="ORIGIN",
        help="Allow web pages of this origin (https://example.org). Repeatable. Pages of this "
        "machine are always allowed.",
    ),
    click.option(
        "--file-pages/--no-file-pages",
        default=None,
        help="Whether pages opened from disk may connect; they may watch by exact id only.  "
        "[default: they may]",
    ),
    click.option(
        "--allow-host",
        "hosts",
        multiple=True,
        metavar="NAME",
        help="Host name under which clients may reach this server. Repeatable. IP addresses and "
        "localhost are always allowed.",
    ),
    click.option(
        "--trusted-proxy",
        "trusted_proxies",
        multiple=True,
        metavar="NETWORK",
        help="Address or network (10.0.0.0/8) of a proxy whose X-Forwarded-For is believed. "
        "Repeatable.",
    ),
    click.option(
        "--public-key",
        "public_keys",
        multiple=True,
        metavar="PLACE",
        help="File (PEM or JWKS) or URL (JWKS) of public keys for tokens. Repeatable.",
    ),
    click.option(
        "--token-issuer",
        "token_issuers",
        multiple=True,
        metavar="NAME",
        help="Accept tokens of this issuer (iss) only. Repeatable.",
    ),
    click.option(
        "--token-audience",
        "token_audiences",
        multiple=True,
        metavar="NAME",
        help="Accept tokens for this audience (aud) only. Repeatable.",
    ),
    click.option(
        "--token-cookie",
        metavar="NAME",
        help="Cookie that may bring a token, on pages of this host and of --origin.",
    ),
    click.option(
        "--revoked-tokens",
        metavar="FILE",
        help="File of revoked tokens, with lines jti:<id> and sub:<name>; read again when it "
        "changes.",
    ),
    click.option(
        "--permit",
        metavar="MODULE:FUNCTION",
        help="Function that decides from the headers and cookies of each request what the client "
        "may do.",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        default=None,
        help="Serve a public address without a key: anyone who reaches it can watch everything.",
    ),
    click.option(
        "--allow-cancel",
        is_flag=True,
        default=None,
        help="Let clients cancel tasks without a key, on a loopback address.",
    ),
    click.option(
        "--exact-only",
        is_flag=True,
        default=None,
        help="Without a key, clients can watch operations by exact id only, also on a public "
        "address.",
    ),
    click.option(
        "--monitor-unsubscribed",
        is_flag=True,
        default=None,
        help="Send all events to clients that send no command within a second.",
    ),
)
