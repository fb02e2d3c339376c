"""How long a name that many have tried must wait, wherever they come from.

Five failures from one address are locked by django-axes; whoever has many addresses is held here. Beyond 30 failures
of a name in a day a try from an address that never logged in with it waits, a minute first and twice as long each
time up to an hour; after 100 in a row, a day (NIST SP 800-63B, 5.2.2: no more than 100). Whoever logged in before from
where they are notices nothing. A name that nobody has is counted and answered like any other, with the same statements.
Names and addresses are kept as keyed hashes: people type passwords into the field of the name.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils.crypto import salted_hmac

from clients.client_ip import limiting_address_of_request
from clients.models import LoginAddress, LoginFailures

log = logging.getLogger(__name__)

FREE_FAILURES = 30
"""Of one name in a day, from anywhere."""
DAY = timedelta(days=1)
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
IN_A_ROW = 100

_FAILED = """
    INSERT INTO clients_loginfailures AS mine (name, day_began_at, today, in_a_row, last_at)
    VALUES (%(name)s, %(at)s, 1, 1, %(at)s)
    ON CONFLICT (name) DO UPDATE SET
        today = CASE WHEN mine.day_began_at > %(yesterday)s THEN mine.today + 1 ELSE 1 END,
        day_began_at = CASE WHEN mine.day_began_at > %(yesterday)s THEN mine.day_began_at ELSE %(at)s END,
        in_a_row = mine.in_a_row + 1, last_at = %(at)s
    RETURNING today, in_a_row
"""


@dataclass(frozen=True)
class Failures:
    """Of one name: in its running day, and since it last logged in."""

    today: int
    in_a_row: int


def wait_after(failures: Failures) -> timedelta:
    """From the last failure to the next try of an address that never logged in with the name."""
    if failures.in_a_row >= IN_A_ROW:
        return DAY
    beyond = failures.today - FREE_FAILURES
    return timedelta(0) if beyond < 0 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(beyond, 10))


def claim_try(request: Any, name: str, *, at: datetime) -> int:
    """0 when the name may be tried from the request's address now, or the seconds to wait.

    Of many that come when a wait is over one gets the try. Not inside a transaction.
    """
    row = LoginFailures.objects.filter(pk=_key(name)).first()
    known = LoginAddress.objects.filter(pk=_address_key(request, name)).exists()
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
        cursor.execute(_FAILED, {"name": _key(name), "at": at, "yesterday": at - DAY})
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
    """The address is known from now on, and nothing is in a row any more; the day goes on."""
    LoginFailures.objects.filter(pk=_key(name)).update(in_a_row=0)
    LoginAddress.objects.update_or_create(pk=_address_key(request, name), defaults={"last_at": at})


def _key(name: str) -> str:
    return salted_hmac("aval.login-name", name, algorithm="sha256").hexdigest()[:40]


def _address_key(request: Any, name: str) -> str:
    return _key(f"{limiting_address_of_request(request)}\n{name}")
