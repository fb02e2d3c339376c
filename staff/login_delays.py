"""Delay for a name with many failed logins, over all addresses.

django-axes locks after five failures from one address; this module limits whoever has many addresses. After 30 failures
of a name in a day, a try from an address that never logged in with it must wait: a minute first, then twice as long
each time up to an hour; after 100 in a row, a day (NIST SP 800-63B, 5.2.2: no more than 100). Addresses that logged in
before are not delayed. Unknown names are counted and answered like others, with the same statements. Names and
addresses are stored as keyed hashes: people type passwords into the field of the name.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from clients.client_ip import limiting_address_of_request
from clients.keyed_hashes import keyed_hashes
from clients.models import LoginAddress, LoginFailures
from staff import sql

log = logging.getLogger(__name__)

FREE_FAILURES = 30
"""Failures of one name in a day that cause no delay."""
DAY = timedelta(days=1)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
IN_A_ROW = 100


@dataclass(frozen=True)
class Failures:
    """Failures of one name: in its current day, and since its last login."""

    today: int
    in_a_row: int


def wait_after(failures: Failures) -> timedelta:
    """Wait between the last failure and the next try from an address that never logged in with the name."""
    if failures.in_a_row >= IN_A_ROW:
        return DAY
    beyond = failures.today - FREE_FAILURES
    return timedelta(0) if beyond < 0 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(beyond, 10))


def claim_try(request: Any, name: str, *, at: datetime) -> int:
    """Claim a try of the name from the request's address: 0 if it is allowed, otherwise the seconds to wait.

    Of several tries at the end of a wait one is allowed. Do not call inside a transaction.
    """
    row = LoginFailures.objects.filter(pk__in=_keys(name)).order_by("-last_at").first()
    known = LoginAddress.objects.filter(pk__in=_address_keys(request, name)).exists()
    if row is None or known:
        return 0
    today = row.today if at < row.day_began_at + DAY else 0
    wait = wait_after(Failures(today, row.in_a_row))
    if not wait:
        return 0
    left = ceil((row.last_at + wait - at).total_seconds())
    if left > 0:
        return min(left, ceil(wait.total_seconds()))
    won = LoginFailures.objects.filter(pk=row.pk, last_at=row.last_at).update(last_at=at)
    return 0 if won else ceil(wait.total_seconds())


def count_failure(name: str, *, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNT_FAILED_LOGIN, {"name": _key_of_count(name), "at": at, "yesterday": at - DAY})
        failures = Failures(*cursor.fetchone())
    if failures.today == FREE_FAILURES or failures.in_a_row == IN_A_ROW:
        is_somebodys = User.objects.filter(username=name, is_staff=True).exists()
        log.error(
            "many failed logins of one name: somebody may be guessing",
            extra={
                "user": name if is_somebodys else "(nobody's)",
                "today": failures.today,
                "in_a_row": failures.in_a_row,
            },
        )


def count_success(request: Any, name: str, *, at: datetime) -> None:
    """Remember the address, and end the run of failures. The count of the day stays."""
    LoginFailures.objects.filter(pk__in=_keys(name)).update(in_a_row=0)
    LoginAddress.objects.update_or_create(pk=_address_keys(request, name)[0], defaults={"last_at": at})


def _keys(name: str) -> list[str]:
    """Keys under which the name may be stored, the newest first."""
    return [each[:40] for each in keyed_hashes("aval.login-name", name)]


def _key_of_count(name: str) -> str:
    """Key under which the failures of the name are counted: a change of SECRET_KEY does not begin them anew."""
    newest, *former = _keys(name)
    if not former:
        return newest
    stored = set(LoginFailures.objects.filter(pk__in=[newest, *former]).values_list("pk", flat=True))
    return next((each for each in (newest, *former) if each in stored), newest)


def _address_keys(request: Any, name: str) -> list[str]:
    return _keys(f"{limiting_address_of_request(request)}\n{name}")
