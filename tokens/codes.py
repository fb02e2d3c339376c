"""Codes: 4 characters of Crockford's base 32, exactly 20 bits (OWASP ASVS 5.0 asks for 20)."""

import hmac
import secrets
from uuid import UUID

from django.conf import settings

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 4
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1"})


def generate() -> str:
    """A new code: each character is one of the 32 with equal chance, by five of 20 random bits of its own."""
    bits = secrets.randbits(5 * LENGTH)
    return "".join(ALPHABET[bits >> 5 * place & 31] for place in range(LENGTH))


def normalise(typed: str) -> str | None:
    """Return the code that the client meant: case-blind, O reads as 0, I and L as 1. None for what can be no code."""
    if len(typed) != LENGTH or not typed.isascii():
        return None
    normalised = typed.upper().translate(_LOOKALIKES)
    return normalised if all(character in ALPHABET for character in normalised) else None


def digest(token_id: UUID, code: str) -> bytes:
    """HMAC-SHA256 under the server's key, bound to the token: equal codes of two tokens have different digests."""
    return _digest(settings.CODE_KEYS[0], token_id, code)


def matches(token_id: UUID, stored: bytes, typed: str) -> bool:
    """Compare the typed text with the code, in a time that depends on neither; a malformed one costs the same. The code
    may have been made under a former key: every key is tried, also after one that matches."""
    code = normalise(typed)
    same = False
    for key in settings.CODE_KEYS:
        same |= hmac.compare_digest(_digest(key, token_id, code or "----"), bytes(stored))
    return same and code is not None


def _digest(key: bytes, token_id: UUID, code: str) -> bytes:
    return hmac.digest(key, token_id.bytes + code.encode(), "sha256")
