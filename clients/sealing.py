"""Sealing of stored secrets with AES-256-GCM, under one key for each purpose.

Keys are derived from SECRET_KEY (`settings.SEALING_KEYS`). What was sealed under a former key (SECRET_KEY_FALLBACKS)
can still be unsealed. A seal is bound to its owner: moved to another row it cannot be unsealed.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

MARK = "s1:"
"""Prefix of a sealed text: the version of the seal."""
_NONCE = 12
"""Bytes of a nonce (NIST SP 800-38D, section 8.2)."""


class CannotUnseal(Exception):
    """Text that was not sealed by our keys for this purpose and owner, or was changed."""


def is_sealed(text: str) -> bool:
    return text.startswith(MARK)


def seal(purpose: str, secret: bytes, *, owner: str = "") -> str:
    """Seal the secret under the newest key of the purpose."""
    nonce = os.urandom(_NONCE)
    hidden = AESGCM(_keys(purpose)[0]).encrypt(nonce, secret, _bound(purpose, owner))
    return MARK + base64.urlsafe_b64encode(nonce + hidden).decode()


def unseal(purpose: str, sealed: str, *, owner: str = "") -> bytes:
    """Raises CannotUnseal."""
    return _opened(sealed, _keys(purpose), _bound(purpose, owner))


def _opened(sealed: str, keys: list[bytes], bound: bytes) -> bytes:
    try:
        raw = base64.b64decode(sealed.removeprefix(MARK), altchars=b"-_", validate=True)
    except ValueError as fault:
        raise CannotUnseal from fault
    for key in keys:
        try:
            return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], bound)
        except (InvalidTag, ValueError):  # another key, or too short to be a seal
            continue
    raise CannotUnseal


def is_newest(purpose: str, sealed: str, *, owner: str = "") -> bool:
    """Whether the newest key of the purpose made the seal."""
    try:
        _opened(sealed, _keys(purpose)[:1], _bound(purpose, owner))
    except CannotUnseal:
        return False
    return True


def _keys(purpose: str) -> list[bytes]:
    keys: list[bytes] = settings.SEALING_KEYS[purpose]
    return keys


def _bound(purpose: str, owner: str) -> bytes:
    return f"{purpose}:{owner}".encode()
