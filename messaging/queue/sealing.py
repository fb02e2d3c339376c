"""Seal: encryption of a code between request and hand-over. Fernet (AES-128-CBC, HMAC-SHA256), key from SECRET_KEY."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


class CannotUnseal(Exception):
    """The seal was made with another key or has been changed. The message can never be sent."""


@lru_cache
def _fernet(key: bytes) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(key))


def seal(secret: str) -> bytes:
    return _fernet(settings.SEAL_KEY).encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """Decrypt a code. Raises CannotUnseal."""
    try:
        return _fernet(settings.SEAL_KEY).decrypt(bytes(sealed)).decode()
    except InvalidToken as fault:
        raise CannotUnseal from fault
