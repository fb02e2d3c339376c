"""Signing and verifying of JWTs under several keys (`settings.JWT_KEYS`, docs/keys.md).

A JWT that we issue names its key (`kid`, RFC 7515, section 4.1.4). One without a name, of an older version, is tried
with every key.
"""

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

KID_LENGTH = 16
"""Hexadecimal digits of a `kid`."""


def newest_kid() -> str:
    return kid_of_key(settings.JWT_KEYS[0])


def known_kids() -> list[str]:
    """Names of all keys, the newest first."""
    return [kid_of_key(each) for each in settings.JWT_KEYS]


def kid_of_key(key: str) -> str:
    """Name of a key, from which nobody can tell the key."""
    return hmac.new(key.encode(), b"aval:kid", hashlib.sha256).hexdigest()[:KID_LENGTH]


def kid_that_signed(raw: str) -> str:
    """Name of the key that signed a JWT, whatever its claims say; empty: none of ours."""
    for key in settings.JWT_KEYS:
        try:
            jwt.PyJWS().decode_complete(raw, key, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            continue
        return kid_of_key(key)
    return ""


class JwtBackend(TokenBackend):
    """Backend of simplejwt for HS256 that signs with the newest key and verifies with any."""

    def __init__(self, keys: Iterable[str], audience: str) -> None:
        newest, *former = keys
        super().__init__("HS256", signing_key=newest, audience=audience, issuer="aval")
        self._kid = kid_of_key(newest)
        self._former = {
            kid_of_key(each): TokenBackend("HS256", signing_key=each, audience=audience, issuer="aval")
            for each in former
        }

    def encode(self, payload: dict[str, Any]) -> str:
        claims = payload | {"aud": self.audience, "iss": self.issuer}
        return jwt.encode(claims, self.prepared_signing_key, algorithm=self.algorithm, headers={"kid": self._kid})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Claims of a token. Raises TokenBackendError. With one key it costs one check, whatever the token says."""
        try:
            return super().decode(token, verify)
        except TokenBackendExpiredToken:
            raise
        except TokenBackendError:
            for backend in self._candidates(token):
                try:
                    return backend.decode(token, verify)
                except TokenBackendExpiredToken:
                    raise
                except TokenBackendError:
                    continue
            raise

    def _candidates(self, token: Any) -> list[TokenBackend]:
        """Backends of the former keys that may have signed a token which the newest did not."""
        if not self._former:
            return []
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError:
            return []
        if kid is None:
            return list(self._former.values())
        return [self._former[kid]] if kid in self._former else []


def jwt_backend(audience: str) -> JwtBackend:
    """Backend for HS256 only. A token for another audience does not decode."""
    return _backend(tuple(settings.JWT_KEYS), audience)


@lru_cache
def _backend(keys: tuple[str, ...], audience: str) -> JwtBackend:
    return JwtBackend(keys, audience)
