"""What needs a key without holding a seal: live codes, JWTs and backup codes. They can be counted, not made anew."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Max

from clients import jwt_keys
from clients.models import Credential
from support.keys.resealing import Found
from tokens.models import VerificationToken

MOST_LISTED = 20
"""JWTs that are listed one by one."""


@dataclass(frozen=True)
class LiveCodes:
    """Codes that can still be typed in and may be of a former key: those asked for before a moment."""

    count: int
    last_ends_at: datetime | None

    @property
    def found(self) -> Found:
        return Found("live codes", former=self.count)


def live_codes(*, since: datetime, at: datetime) -> LiveCodes:
    """A code's row does not say which key it is of; with one key there is no question."""
    if len(settings.CODE_KEYS) == 1:
        return LiveCodes(0, None)
    pending = VerificationToken.objects.filter(outcome=VerificationToken.Outcome.PENDING, expires_at__gt=at)
    asked_before = pending.filter(created_at__lt=since)
    return LiveCodes(asked_before.count(), asked_before.aggregate(last=Max("expires_at"))["last"])


def live_jwts(*, at: datetime) -> tuple[Found, list[Credential]]:
    """How many unexpired JWTs need which key, and the first of those that need a former one. A JWT that was issued
    without a name and has not been used since counts as of a former key, while there is one."""
    live = Credential.objects.filter(kind=Credential.Kind.JWT, revoked_at__isnull=True, expires_at__gt=at)
    newest, *former = jwt_keys.known_kids()
    of_former = live.filter(kid__in=[*former, ""]) if former else live.none()
    lost = live.exclude(kid__in=[newest, *former, ""]).count()
    rows = of_former.select_related("partner").order_by("expires_at", "pk")[:MOST_LISTED]
    return Found("JWTs of partners", former=of_former.count(), lost=lost), list(rows)


def users_with_older_backup_codes(*, since: datetime) -> int:
    """Staff whose backup codes were made before a moment: only their hash is kept, so they end with their key."""
    return (
        User.objects.filter(staticdevice__created_at__lt=since, staticdevice__token_set__isnull=False)
        .distinct()
        .count()
    )
