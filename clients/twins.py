"""Test twin of a partner: the partner that its test keys belong to, so that nothing a test does reaches a real client.

A twin is a row of `Partner`, made the first time that it is needed. Its name, brand, contracts, rate and activity are
those of its partner: triggers keep them so, whoever writes (migration 0016), so the twin of a partner that is switched
off does not get in either.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db import transaction
from django.db.models import Q

from clients.credentials import issue
from clients.errors import Refused
from clients.models import Credential, Partner, audit

MOST_KEYS = 20
"""Live test keys of a partner: a program that makes one for each of its runs must not fill the table."""
MOST_ROWS = 10_000
"""Codes, messages and clients of each kind that a twin holds; then it must be emptied."""
_SUFFIX = "-pruebas"


class TwinHasNoTwin(Refused):
    """A test key was used where a live one is needed: only a partner itself has a twin."""


class TooManyTestKeys(Refused):
    """The partner has MOST_KEYS live test keys."""


class TwinIsFull(Refused):
    """The twin holds MOST_ROWS; it must be emptied before it takes more."""

    retry_after = 60
    """Seconds that a program without a reset waits before it looks again."""


@dataclass(frozen=True)
class TestKeys:
    """New test keys, shown once."""

    token: str
    jwt: str


@lru_cache(maxsize=10_000)
def is_twin(partner_id: int | None) -> bool:
    """Whether a partner is a twin, looked up once a process: it never changes (migration 0016)."""
    return partner_id is not None and Partner.objects.filter(pk=partner_id, twin_of__isnull=False).exists()


def scope_of(partner_id: int | None) -> int | None:
    """The partner, if it is a twin. None: a live one, or none, which share what is known of a mailbox or a number."""
    return partner_id if is_twin(partner_id) else None


def twin_of(partner: Partner, *, at: datetime, by: str, address: str | None = None) -> Partner:
    """The partner's twin, made if there is none yet. Raises TwinHasNoTwin."""
    if partner.is_twin:
        raise TwinHasNoTwin
    with transaction.atomic():
        live = Partner.objects.select_for_update(no_key=True).get(pk=partner.pk)  # of two at once one makes it
        twin = Partner.objects.filter(twin_of=live).first()
        if twin is None:
            twin = Partner.objects.create(twin_of=live, name=live.name, slug=_free_slug(live))
            twin.refresh_from_db()  # the database has copied what it shares with its partner
            audit(twin, "partner.created", at=at, by=by, address=address, slug=twin.slug, twin_of=live.slug)
    return twin


def issue_key(
    partner: Partner,
    kind: str,
    *,
    at: datetime,
    by: str,
    expires_at: datetime | None = None,
    address: str | None = None,
) -> tuple[Credential, str]:
    """Issue a test key of the partner. Returns its row and its secret. Raises TwinHasNoTwin, TooManyTestKeys."""
    with transaction.atomic():
        twin = twin_of(partner, at=at, by=by, address=address)
        _check_room(twin, 1, at=at)
        return issue(twin, kind, at=at, by=by, expires_at=expires_at, address=address)


def issue_keys(partner: Partner, *, at: datetime, by: str, address: str | None = None) -> TestKeys:
    """Issue a test key of each kind. Raises TwinHasNoTwin, TooManyTestKeys."""
    with transaction.atomic():
        twin = twin_of(partner, at=at, by=by, address=address)
        _check_room(twin, 2, at=at)
        _, token = issue(twin, Credential.Kind.OPAQUE, at=at, by=by, address=address)
        _, jwt = issue(twin, Credential.Kind.JWT, at=at, by=by, address=address)
    return TestKeys(token, jwt)


def _check_room(twin: Partner, more: int, *, at: datetime) -> None:
    """Raises TooManyTestKeys. Calls with the same partner wait for each other: `twin_of` has locked its row."""
    not_over = Q(expires_at__isnull=True) | Q(expires_at__gt=at)
    if twin.credentials.filter(not_over, revoked_at__isnull=True).count() + more > MOST_KEYS:
        raise TooManyTestKeys


def _free_slug(live: Partner) -> str:
    """A slug for the twin that no other partner has."""
    longest = Partner._meta.get_field("slug").max_length or 0
    for number in range(1, 1000):
        ending = _SUFFIX if number == 1 else f"{_SUFFIX}-{number}"
        slug = live.slug[: longest - len(ending)] + ending
        if not Partner.objects.filter(slug=slug).exists():
            return slug
    raise RuntimeError(f"no slug is free for the twin of {live.slug}")
