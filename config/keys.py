"""Keys derived from SECRET_KEY, one for each purpose, so that none can replace another."""

import hashlib
import hmac

SEALED = ("totp-key", "session-data", "kept-answer", "webhook-secret")
"""Purposes of sealed columns, each with its own key."""


def derived_key(purpose: str, secret: str) -> bytes:
    """HMAC-SHA256 of the purpose; 32 bytes."""
    return hmac.new(secret.encode(), b"aval:" + purpose.encode(), hashlib.sha256).digest()


def derived_keys(purpose: str, *secrets: str) -> list[bytes]:
    """Keys of the current secret and of former ones, in this order."""
    return [derived_key(purpose, secret) for secret in secrets]
