"""Second factor of staff: an authenticator app (TOTP, RFC 6238), and backup codes for when it is lost.

django-otp stores the devices, waits longer after each wrong code (1, 2, 4, 8 s ...) and accepts no code twice. Every
function here locks the user's row first: of parallel tries one is checked, and the others wait for its result. Codes
and keys are in no log, audit entry or exception.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from datetime import datetime
from math import ceil

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.util import random_hex

from clients.authenticators import Authenticator
from clients.models import audit
from clients.sealing import CannotUnseal

log = logging.getLogger(__name__)

BACKUP_CODES = 10
"""Codes on one sheet. Each works once."""
_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""Characters of backup codes: none that could be mistaken for another. Ten of them are 49 bits."""
_BACKUP_LENGTH = 10
_KEY_BYTES = 20
"""Bytes of an app's key: 160 bits, as RFC 4226, section 4 recommends."""


class CodeRefused(Exception):
    """Code that is not valid now. It was counted."""


class TryLater(Exception):
    """Too many wrong codes in a row: the next one is checked after `seconds`. Nothing was counted."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class AlreadyEnrolled(Exception):
    """The user has an app already, which must be removed first."""


class NotEnrolled(Exception):
    """The user has no second factor."""


class NotAllowed(Exception):
    """The user may not do this to that account."""


def is_required() -> bool:
    return str(settings.STAFF_TWO_FACTOR) == "required"


def device_of(user: User) -> Authenticator | None:
    """The app whose codes count, or None."""
    found: Authenticator | None = Authenticator.objects.filter(user=user, confirmed=True).order_by("pk").first()
    return found


def device_of_name(name: str) -> Authenticator | None:
    """`device_of` by a name that may be nobody's."""
    of_name = Authenticator.objects.filter(user__username=name, confirmed=True)
    found: Authenticator | None = of_name.order_by("pk").first()
    return found


def backup_codes_left(user: User) -> int:
    return sum(device.token_set.count() for device in StaticDevice.objects.filter(user=user, confirmed=True))


def new_key() -> str:
    """New key for an app, in hexadecimal. It counts once `enrol` has checked a code made with it."""
    return str(random_hex(_KEY_BYTES))


def key_uri(user: User, key: str) -> str:
    """Content of the QR code: otpauth://totp/..."""
    return str(Authenticator(user=user, key=key).config_url)


def enrol(user: User, key: str, typed: str, *, at: datetime, address: str | None) -> list[str]:
    """Enrol the app with this key, after a code shows that it has the key. Returns the backup codes, which are shown
    once.

    Raises CodeRefused, AlreadyEnrolled.
    """
    with transaction.atomic():
        _lock(user)
        if device_of(user) is not None:
            raise AlreadyEnrolled
        device = Authenticator(user=user, name="app", key=key, confirmed=True)
        device.save(force_insert=True)
        if not device.verify_token(_digits(typed)):
            raise CodeRefused  # rolls the row back; not counted, since there is no app whose code could be guessed
        codes = _new_backup_codes(user)
        audit(user, "second_factor.enrolled", at=at, by=user.get_username(), address=address)
    return codes


def check(user: User, typed: str, *, at: datetime, address: str | None) -> Authenticator:
    """Check a code of the app or a backup code; return the app. Raises CodeRefused, TryLater, NotEnrolled."""
    with transaction.atomic():
        device = _locked_device(user)
        right = _is_right(user, device, typed, at=at, address=address)
    if not right:
        raise CodeRefused
    return device


def renew_backup_codes(user: User, typed: str, *, at: datetime, address: str | None) -> list[str]:
    """Replace the backup codes. Raises CodeRefused, TryLater, NotEnrolled."""
    codes: list[str] = []
    with transaction.atomic():
        device = _locked_device(user)
        if _is_right(user, device, typed, at=at, address=address):
            codes = _new_backup_codes(user)
            audit(user, "second_factor.codes_renewed", at=at, by=user.get_username(), address=address)
    if not codes:
        raise CodeRefused
    return codes


def remove(user: User, typed: str, *, at: datetime, address: str | None) -> None:
    """Remove the app and the backup codes, confirmed by a code. Raises CodeRefused, TryLater, NotEnrolled."""
    with transaction.atomic():
        device = _locked_device(user)
        right = _is_right(user, device, typed, at=at, address=address)
        if right:
            _drop(user)
            audit(user, "second_factor.removed", at=at, by=user.get_username(), address=address)
    if not right:
        raise CodeRefused


def reset(user: User, *, by: str, reason: str, at: datetime, address: str | None = None) -> bool:
    """Remove a user's second factor without a code, because the phone is lost. Every session opened with it ends with
    its next request. False if there was none."""
    with transaction.atomic():
        _lock(user)
        if not _drop(user):
            return False
        audit(user, "second_factor.reset", at=at, by=by, reason=reason, address=address)
    return True


def check_may_reset(actor: User, user: User) -> None:
    """Raises NotAllowed. Nobody resets their own second factor, which would bypass the code; only a superuser resets a
    superuser's."""
    if actor.pk == user.pk or not actor.has_perm("auth.change_user") or (user.is_superuser and not actor.is_superuser):
        raise NotAllowed


def _lock(user: User) -> None:
    """Lock that serialises all changes of a user's second factor."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _locked_device(user: User) -> Authenticator:
    _lock(user)
    device = device_of(user)
    if device is None:
        raise NotEnrolled
    return device


def _is_right(user: User, device: Authenticator, typed: str, *, at: datetime, address: str | None) -> bool:
    """Whether the code is valid now. Wrong codes and used backup codes are audited."""
    digits = _digits(typed)
    by_app = len(digits) == device.digits and digits.isascii() and digits.isdigit()
    paper = None if by_app else StaticDevice.objects.filter(user=user, confirmed=True).order_by("pk").first()
    asked: Authenticator | StaticDevice = paper or device
    allowed, why = asked.verify_is_allowed()
    if not allowed:
        until = (why or {}).get("locked_until") or at
        raise TryLater(max(1, ceil((until - timezone.now()).total_seconds())))
    right = _verified(asked, _stored_form(user, paper, _plain(typed)) if paper else digits)
    by = user.get_username()
    if not right:
        audit(user, "second_factor.failed", at=at, by=by, address=address, backup_code=paper is not None)
    elif paper is not None:
        left = backup_codes_left(user)
        audit(user, "second_factor.backup_code_used", at=at, by=by, address=address, left=left)
    return right


def _verified(device: Authenticator | StaticDevice, code: str) -> bool:
    """django-otp's check. A key sealed under another SECRET_KEY has no codes: the try counts as wrong."""
    try:
        return bool(device.verify_token(code))
    except CannotUnseal:
        log.error("a second factor was sealed under another SECRET_KEY", extra={"device": device.pk})
        device.throttle_increment(commit=True)
        return False


def _digits(typed: str) -> str:
    """Code without blanks: apps show 123 456."""
    return "".join(typed.split())


def _plain(typed: str) -> str:
    """Backup code in small letters, without its dash."""
    return "".join(typed.split()).replace("-", "").lower()


def _hashed(user: User, code: str, key: bytes) -> str:
    """Stored form of a backup code: 16 characters (96 bits) of a keyed hash, never the code."""
    digest = hmac.new(key, f"{user.pk}:{code}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:12]).decode()


def _hashed_before_1(user: User, code: str, secret: str) -> str:
    """Stored form of a backup code in the first version."""
    digest = salted_hmac("aval.backup-code", f"{user.pk}:{code}", secret=secret, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:12]).decode()


def _stored_form(user: User, paper: StaticDevice, code: str) -> str:
    """The stored form that the table may hold. Backup codes stay valid after a change of SECRET_KEY with
    SECRET_KEY_FALLBACKS."""
    secrets_so_far = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    spellings = [_hashed(user, code, key) for key in settings.BACKUP_CODE_KEYS]
    spellings += [_hashed_before_1(user, code, secret) for secret in secrets_so_far]
    held = set(paper.token_set.filter(token__in=spellings).values_list("token", flat=True))
    return next((each for each in spellings if each in held), spellings[0])


def _new_backup_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    paper = StaticDevice.objects.create(user=user, name="papel", confirmed=True)
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_BACKUP_LENGTH)) for _ in range(BACKUP_CODES)]
    for code in codes:
        paper.token_set.create(token=_hashed(user, code, settings.BACKUP_CODE_KEYS[0]))
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _drop(user: User) -> bool:
    had = device_of(user) is not None
    StaticDevice.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    return had
