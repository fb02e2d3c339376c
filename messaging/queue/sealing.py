"""Seal: encryption of a code between request and hand-over. Fernet (AES-128-CBC, HMAC-SHA256), keys from SECRET_KEY."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class CannotUnseal(Exception):
    """The seal was made with none of our keys or has been changed. The message can never be sent."""


@lru_cache
def _fernet(*keys: bytes) -> MultiFernet:
    """Seals with the first key, opens with any."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


def seal(secret: str) -> bytes:
    return _fernet(*settings.SEAL_KEYS).encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """Decrypt a code. Raises CannotUnseal."""
    try:
        return _fernet(*settings.SEAL_KEYS).decrypt(bytes(sealed)).decode()
    except InvalidToken as fault:
        raise CannotUnseal from fault


def is_newest(sealed: bytes) -> bool:
    """Whether the first key made the seal."""
    try:
        _fernet(settings.SEAL_KEYS[0]).decrypt(bytes(sealed))
    except InvalidToken:
        return False
    return True


def resealed(sealed: bytes) -> bytes:
    """The same code sealed with the first key. Raises CannotUnseal."""
    try:
        return _fernet(*settings.SEAL_KEYS).rotate(bytes(sealed))
    except InvalidToken as fault:
        raise CannotUnseal from fault
