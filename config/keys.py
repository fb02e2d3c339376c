"""Keys that are made of SECRET_KEY: one for each purpose, so that one secret serves all and none can stand in for
another."""

import hashlib
import hmac

SEALED = ("totp-key", "session-data", "kept-answer")
"""What the database keeps sealed, each under a key of its own."""


def derived_key(purpose: str, secret: str) -> bytes:
    """32 bytes."""
    return hmac.new(secret.encode(), b"aval:" + purpose.encode(), hashlib.sha256).digest()


def derived_keys(purpose: str, *secrets: str) -> list[bytes]:
    """Of the secret now and of those before it."""
    return [derived_key(purpose, secret) for secret in secrets]
