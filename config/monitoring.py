"""Settings of metrics, from the environment."""

import os

from config.variables import InvalidVariable

LEAST = 16
"""Characters of METRICS_TOKEN."""


def metrics_token() -> str:
    """Bearer token of `GET /metrics`; empty: the web processes have no such page. Raises InvalidVariable."""
    token = os.environ.get("METRICS_TOKEN", "").strip()
    if token and (len(token) < LEAST or not token.isascii() or not token.isprintable() or " " in token):
        raise InvalidVariable(f"METRICS_TOKEN must have {LEAST} or more printable ASCII characters, without blanks.")
    return token
