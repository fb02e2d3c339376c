"""Password check of staff, the same for pages and API: one try of a name from an address at a time, as slow for an
unknown name as for a wrong password, and counted.

django-axes counts: five failures of a name from an address, wrong passwords and wrong codes together, lock the name
there for a quarter of an hour. Tries of one name from many addresses are limited by `staff.login_delays`, tries of one
address by `count_try` (LOGINS_PER_ADDRESS). The request is only passed on to django-axes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off, get_credentials
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.db import OperationalError, connection, transaction
from django.db.models import Max
from psycopg.errors import LockNotAvailable

from clients import hashing
from clients.client_ip import limiting_address_of_request, limiting_key
from clients.rate_limits import counters
from staff import login_delays, sql


class LockedOut(Exception):
    """The name may not be tried from this address for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class TooManyTries(Exception):
    """The address tried too often, whatever the names. Try again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


def count_try(address: str) -> None:
    """Count one try of a password or a second factor against LOGINS_PER_ADDRESS. Raises TooManyTries."""
    seconds = counters.hit_minute(f"login:a{limiting_key(address)}", int(settings.LOGINS_PER_ADDRESS))
    if seconds:
        raise TooManyTries(seconds)


@contextmanager
def password_try(request: Any, name: str, *, at: datetime) -> Iterator[None]:
    """Context of one password check. Raises LockedOut, or hashing.HashesBusy: nothing waits for a hash."""
    delayed_for = login_delays.claim_try(request, name, at=at)
    if delayed_for:
        raise LockedOut(delayed_for)
    with hashing.slot(), one_try(request, name, at=at):
        yield


@contextmanager
def one_try(request: Any, name: str, *, at: datetime) -> Iterator[None]:
    """Context of one try of a name: a transaction with a lock on the name. Raises LockedOut before anything is
    compared.

    django-axes checks first and counts afterwards, and a hash takes long: without the lock, parallel tries would get
    more than five.
    """
    with transaction.atomic():
        _queue_up(request, name)
        locked_for = seconds_locked(request, name, at=at)
        if locked_for:
            raise LockedOut(locked_for)
        yield


def seconds_locked(request: Any, name: str, *, at: datetime) -> int:
    """Seconds for which the name is still locked from the request's address; 0: it is not locked."""
    if AxesProxyHandler.is_allowed(request, get_credentials(username=name)):
        return 0
    failures = AccessAttempt.objects.filter(username=name, ip_address=limiting_address_of_request(request))
    last = failures.aggregate(last=Max("attempt_time"))["last"] or at
    lasts: timedelta = get_cool_off(request)
    return min(max(1, ceil((last + lasts - at).total_seconds())), ceil(lasts.total_seconds()))


def password_is_of(request: Any, name: str, password: str, *, at: datetime) -> User | None:
    """Staff member with this name and password. None, and a counted failure, for everybody else."""
    user = authenticate(request, username=name, password=password)
    if isinstance(user, User) and user.is_staff:
        return user
    if user is not None:
        # The right password of a user who is not staff counts as a wrong one, or the lock would tell them apart.
        count_failure(request, name, at=at)
    else:
        login_delays.count_failure(name, at=at)  # axes counts it too, by Django's signal
    return None


def count_failure(request: Any, name: str, *, at: datetime) -> None:
    """Count a failure, for the address and for the name."""
    login_delays.count_failure(name, at=at)
    user_login_failed.send(sender=__name__, credentials={"username": name}, request=request)


def count_success(request: Any, name: str, *, at: datetime) -> None:
    """Record a complete login. django-axes resets its count by Django's signal."""
    login_delays.count_success(request, name, at=at)


def _queue_up(request: Any, name: str) -> None:
    try:
        with connection.cursor() as cursor:
            key = f"login:{limiting_address_of_request(request)}:{name}"
            cursor.execute(sql.LOCK_NAME, {"key": key})
    except OperationalError as fault:
        if isinstance(fault.__cause__, LockNotAvailable):
            raise LockedOut(1) from None
        raise
