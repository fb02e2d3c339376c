"""A member of staff's authenticator app as the database keeps it: django-otp's row, its key sealed."""

from contextlib import suppress
from typing import Any

from django_otp.plugins.otp_totp.models import TOTPDevice

from clients import sealing

PURPOSE = "totp-key"


class Authenticator(TOTPDevice):
    """The app whose codes count. Its key is sealed whenever it is saved; one from before opens as it is."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = "aplicación de códigos"
        verbose_name_plural = "aplicaciones de códigos"

    @property
    def plain_key(self) -> str:
        """The key in hexadecimal. Raises CannotUnseal, for a row that was sealed under another SECRET_KEY."""
        key = str(self.key)
        return sealing.unseal(PURPOSE, key, owner=str(self.user_id)).hex() if sealing.is_sealed(key) else key

    @property
    def bin_key(self) -> bytes:
        """What django-otp makes codes with."""
        return bytes.fromhex(self.plain_key)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Seals anew, so that each use moves a key to the newest SECRET_KEY."""
        with suppress(sealing.CannotUnseal):  # its counts are kept all the same
            self.key = sealed(self.plain_key, user_id=self.user_id)
        super().save(*args, **kwargs)


def sealed(plain: str, *, user_id: int) -> str:
    """The key as it is kept: 67 of the column's 80 characters, for the 20 bytes that `second_factor.new_key` makes."""
    return sealing.seal(PURPOSE, bytes.fromhex(plain), owner=str(user_id))
