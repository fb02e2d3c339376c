"""Checking a staff login: as slow and as mute for a name nobody has as for a wrong password.

django-axes counts the failures of a name from an address, known or not, here and at the admin's own login.
"""

from datetime import datetime
from math import ceil

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off, get_credentials
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import OperationalError, connection, transaction
from django.db.models import Max
from django.http import HttpRequest
from psycopg.errors import LockNotAvailable

from clients.callers import limiting_address_of_request
from external_api.frontdoor.refusals import RateLimited
from external_api.informaperu.contract import LoginRefused


def log_in(request: HttpRequest, name: str, password: str, *, at: datetime) -> User:
    """The member of staff with this name and password. Raises LoginRefused, or RateLimited while locked out."""
    with transaction.atomic():
        _queue_up(request, name)
        locked_for = _seconds_locked(request, name, at=at)
        user = None if locked_for else _member_of_staff(request, name, password)
    if locked_for:
        raise RateLimited(locked_for)
    if user is None:
        raise LoginRefused
    return user


def _queue_up(request: HttpRequest, name: str) -> None:
    """One try of a name from an address at a time: axes looks first and counts afterwards, and a hash takes long, so
    that a volley would get more than its five tries."""
    try:
        with connection.cursor() as cursor:
            key = f"login:{limiting_address_of_request(request)}:{name}"
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
    except OperationalError as fault:
        if isinstance(fault.__cause__, LockNotAvailable):
            raise RateLimited(1) from None
        raise


def _seconds_locked(request: HttpRequest, name: str, *, at: datetime) -> int:
    if AxesProxyHandler.is_allowed(request, get_credentials(username=name)):
        return 0
    failures = AccessAttempt.objects.filter(username=name, ip_address=limiting_address_of_request(request))
    last = failures.aggregate(last=Max("attempt_time"))["last"] or at
    ends: datetime = last + get_cool_off(request)
    return max(1, ceil((ends - at).total_seconds()))


def _member_of_staff(request: HttpRequest, name: str, password: str) -> User | None:
    user = authenticate(request, username=name, password=password)
    if isinstance(user, User) and user.is_staff:
        user_logged_in.send(sender=type(user), request=request, user=user)  # the failures so far are forgotten
        return user
    if user is not None:
        # A client's password is right and yet no way in: it counts like a wrong one, or the lock would tell them apart.
        user_login_failed.send(sender=__name__, credentials={"username": name}, request=request)
    # The fifth failure is answered like the four before it, in the contract's envelope and not by axes' middleware.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    return None
