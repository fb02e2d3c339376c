"""Marks that tie something to a user's password, such as the step from password to code: a changed password ends it.

Hashed from the hash that Django keeps in sessions, which itself would open a session.
"""

from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac

from clients.keyed_hashes import any_equal, secrets


def mark_of(user: User, salt: str) -> str:
    """Mark by the newest key."""
    return _mark(salt, user.get_session_auth_hash(), secrets()[0])


def is_mark_of(user: User, salt: str, given: str) -> bool:
    """Whether any key made this mark for the user's password."""
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any_equal(given, [_mark(salt, each, key) for each, key in zip(hashes, secrets(), strict=True)])


def _mark(salt: str, session_hash: str, secret: str) -> str:
    return salted_hmac(salt, session_hash, secret=secret, algorithm="sha256").hexdigest()
