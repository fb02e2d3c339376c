"""Keys derived from SECRET_KEY, one for each purpose, so that none can replace another.

Each purpose has a list of keys: that of SECRET_KEY, by which everything new is made, and those of SECRET_KEY_FALLBACKS,
which still open and verify what they made (docs/keys.md).
"""

import hashlib
import hmac
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

SEALED = ("totp-key", "session-data", "kept-answer", "webhook-secret")
"""Purposes of sealed columns, each with its own key."""
SHORTEST = 32
"""Characters of a key at least (RFC 7518, section 3.2 asks for 256 bits)."""
MOST_FORMER = 4
"""Former keys at a time: what a stranger sends is tried with every key."""


def former_keys(name: str, given: Sequence[str]) -> list[str]:
    """Check a setting that lists former keys. Raises ImproperlyConfigured; the keys themselves are in no message."""
    keys = list(dict.fromkeys(each.strip() for each in given if each.strip()))
    if any(len(each) < SHORTEST for each in keys):
        raise ImproperlyConfigured(f"{name} holds a key that is shorter than {SHORTEST} characters.")
    if len(keys) > MOST_FORMER:
        raise ImproperlyConfigured(f"{name} holds more than {MOST_FORMER} keys: take out those that nothing needs.")
    return keys


def derived_key(purpose: str, secret: str) -> bytes:
    """HMAC-SHA256 of the purpose; 32 bytes."""
    return hmac.new(secret.encode(), b"aval:" + purpose.encode(), hashlib.sha256).digest()


def derived_keys(purpose: str, *secrets: str) -> list[bytes]:
    """Keys of the current secret and of former ones, in this order, each once."""
    return [derived_key(purpose, secret) for secret in dict.fromkeys(secrets)]


def jwt_keys(given: str, given_former: Sequence[str], *secrets: str) -> list[str]:
    """Keys of JWTs. `given`: JWT_KEY, or empty, as is `given_former`: JWT_KEY_FALLBACKS. What is not given is derived
    from the current secret and from former ones. Raises ImproperlyConfigured."""
    if given and len(given) < SHORTEST:
        raise ImproperlyConfigured(f"JWT_KEY is shorter than {SHORTEST} characters (RFC 7518, section 3.2).")
    derived = [each.hex() for each in derived_keys("jwt", *secrets)]
    former = former_keys("JWT_KEY_FALLBACKS", given_former) or [
        each.hex() for each in derived_keys("jwt", *secrets[1:])
    ]
    return list(dict.fromkeys([given or derived[0], *former]))
