"""Settings of metrics and alarms, from the environment."""

import binascii
import os
from base64 import b64decode
from urllib.parse import urlsplit

from config.variables import InvalidVariable

LEAST = 16
"""Characters of METRICS_TOKEN."""


def metrics_token() -> str:
    """Bearer token of `GET /metrics`; empty: the web processes have no such page. Raises InvalidVariable."""
    token = os.environ.get("METRICS_TOKEN", "").strip()
    if token and (len(token) < LEAST or not token.isascii() or not token.isprintable() or " " in token):
        raise InvalidVariable(f"METRICS_TOKEN must have {LEAST} or more printable ASCII characters, without blanks.")
    return token


def alarm_url() -> str:
    """URL that alarms are sent to; empty: they are not. Raises InvalidVariable."""
    url = os.environ.get("ALARM_URL", "").strip()
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise InvalidVariable(f"ALARM_URL must begin with https:// or http://, not {url!r}.")
    return url


def alarm_secret() -> str:
    """Secret that signs alarms (Standard Webhooks: `whsec_` and base64). Raises InvalidVariable."""
    secret = os.environ.get("ALARM_SECRET", "").strip()
    if alarm_url() and not _is_signing_secret(secret):
        raise InvalidVariable("ALARM_SECRET must be set with ALARM_URL: whsec_ and 24 to 64 random bytes in base64.")
    return secret


def _is_signing_secret(secret: str) -> bool:
    prefix, _, encoded = secret.partition("_")
    try:
        return prefix == "whsec" and 24 <= len(b64decode(encoded, validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False


def application_name() -> str:
    """Name under which PostgreSQL shows a program's connections (`pg_stat_activity`): `aval-web`, `aval-worker` and so
    on, which `config.run.programs` gives in PGAPPNAME; else `aval`."""
    program = os.environ.get("PGAPPNAME", "")
    return program if program.startswith("aval-") else "aval"
