"""Secrets that the database keeps and must not give away: sealed with AES-256-GCM, under a key of each purpose.

The keys come from SECRET_KEY (`settings.SEALING_KEYS`); what a former one sealed (SECRET_KEY_FALLBACKS) still opens. A
seal is bound to its owner: moved to another row it opens nothing.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

MARK = "s1:"
"""What a sealed text begins with: the version of the seal."""
_NONCE = 12
"""Bytes, as NIST SP 800-38D, section 8.2 recommends."""


class CannotUnseal(Exception):
    """Not sealed by a key of ours for this purpose and owner, or tampered with."""


def is_sealed(text: str) -> bool:
    return text.startswith(MARK)


def seal(purpose: str, secret: bytes, *, owner: str = "") -> str:
    """The secret under the newest key of the purpose."""
    nonce = os.urandom(_NONCE)
    hidden = AESGCM(_keys(purpose)[0]).encrypt(nonce, secret, _bound(purpose, owner))
    return MARK + base64.urlsafe_b64encode(nonce + hidden).decode()


def unseal(purpose: str, sealed: str, *, owner: str = "") -> bytes:
    """Raises CannotUnseal."""
    try:
        raw = base64.b64decode(sealed.removeprefix(MARK), altchars=b"-_", validate=True)
    except ValueError as fault:
        raise CannotUnseal from fault
    for key in _keys(purpose):
        try:
            return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(purpose, owner))
        except (InvalidTag, ValueError):  # another key, or too short to be a seal
            continue
    raise CannotUnseal


def _keys(purpose: str) -> list[bytes]:
    keys: list[bytes] = settings.SEALING_KEYS[purpose]
    return keys


def _bound(purpose: str, owner: str) -> bytes:
    return f"{purpose}:{owner}".encode()
