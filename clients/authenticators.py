"""Authenticator app of a staff member: django-otp's row with a sealed key."""

from contextlib import suppress
from typing import Any

from django_otp.plugins.otp_totp.models import TOTPDevice

from clients import sealing

PURPOSE = "totp-key"


class Authenticator(TOTPDevice):
    """Authenticator app with a sealed key. The key is sealed at every save; a plain key of an older version is read as
    it is."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "aplicación de códigos"
        verbose_name_plural = "aplicaciones de códigos"

    @property
    def plain_key(self) -> str:
        """Key in hexadecimal. Raises CannotUnseal for a row that was sealed under another SECRET_KEY."""
        key = str(self.key)
        return sealing.unseal(PURPOSE, key, owner=str(self.user_id)).hex() if sealing.is_sealed(key) else key

    @property
    def bin_key(self) -> bytes:
        """Key as django-otp reads it."""
        return bytes.fromhex(self.plain_key)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Seal again, so that each use moves the key to the newest SECRET_KEY."""
        with suppress(sealing.CannotUnseal):  # then the key stays as it is, and the counters are saved
            self.key = sealed(self.plain_key, user_id=self.user_id)
        super().save(*args, **kwargs)


def sealed(plain: str, *, user_id: int) -> str:
    """Sealed key: 67 characters for the 20 bytes of `second_factor.new_key`; the column holds 80."""
    return sealing.seal(PURPOSE, bytes.fromhex(plain), owner=str(user_id))
