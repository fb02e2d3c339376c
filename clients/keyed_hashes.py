"""Keyed hashes of values that are compared or looked up later, by SECRET_KEY and by each of SECRET_KEY_FALLBACKS.

What is stored is made by the newest key; what is looked up may have been made by any.
"""

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac


def secrets() -> list[str]:
    """SECRET_KEY and the further ones that are accepted, the newest first, as Django's own functions take them."""
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def keyed_hash(salt: str, value: str) -> str:
    """HMAC-SHA256 under the newest key, 64 hexadecimal digits."""
    return _hash(salt, value, secrets()[0])


def keyed_hashes(salt: str, value: str) -> list[str]:
    """`keyed_hash` by each key, the newest first: as many values as there are keys."""
    return [_hash(salt, value, secret) for secret in secrets()]


def is_hash_of(salt: str, value: str, given: str) -> bool:
    """Whether any key made this hash of the value."""
    return any_equal(given, keyed_hashes(salt, value))


def any_equal(given: str, expected: list[str]) -> bool:
    """Whether the text is one of the expected ones, in a time that does not depend on which."""
    same = False
    for each in expected:
        same |= constant_time_compare(given, each)
    return same


def _hash(salt: str, value: str, secret: str) -> str:
    return salted_hmac(salt, value, secret=secret, algorithm="sha256").hexdigest()
