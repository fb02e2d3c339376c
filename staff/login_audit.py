"""Audit of staff logins, logouts, failures and lockouts, from the signals of Django and django-axes.

No entry holds a password: Django passes on the name only. The name is kept as typed, cut to length. People type
passwords into the field of the name; therefore Django's own log keeps nothing, and few may read the audit.
"""

import logging
from datetime import timedelta
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from clients.client_ip import caller_address
from clients.models import AuditEntry

FAILURES_AN_HOUR = 100
"""Failures recorded for each address: entries cannot be deleted, and strangers must not fill the table."""
REFUSALS = ("staff.login_failed", "staff.locked_out")
_log = logging.getLogger(__name__)
_LABEL = User._meta.label_lower


@receiver(user_logged_in, dispatch_uid="aval.audit.login")
def log_login(request: HttpRequest | None, user: User, **_: Any) -> None:
    _write(request, "staff.logged_in", user.get_username(), user)


@receiver(user_logged_out, dispatch_uid="aval.audit.logout")
def log_logout(request: HttpRequest | None, user: User | None, **_: Any) -> None:
    if user is not None:
        _write(request, "staff.logged_out", user.get_username(), user)


@receiver(user_login_failed, dispatch_uid="aval.audit.refused")
def log_refusal(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    _refusal(request, "staff.login_failed", credentials.get("username"))


@receiver(user_locked_out, dispatch_uid="aval.audit.locked")
def log_lockout(request: HttpRequest | None, username: Any = None, **_: Any) -> None:
    """django-axes signals this at every try during a lock; the limit on failures limits these entries too."""
    _refusal(request, "staff.locked_out", username)


def _refusal(request: HttpRequest | None, action: str, typed: Any) -> None:
    name = str(typed or "").replace("\x00", "")[: AuditEntry._meta.get_field("actor").max_length]
    if request is None or _too_many(caller_address(request.META)):
        return
    _write(request, action, name, User.objects.filter(username=name).first())


def _too_many(address: str) -> bool:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    recent = AuditEntry.objects.filter(address=address, at__gt=an_hour_ago, action__in=REFUSALS)
    too_many = recent[:FAILURES_AN_HOUR].count() == FAILURES_AN_HOUR
    if too_many:
        _log.warning("failed logins of this address are not written down any more", extra={"address": address})
    return too_many


def _write(request: HttpRequest | None, action: str, name: str, user: User | None) -> None:
    """Write an entry. A session that code made without a request has none."""
    if request is None or "REMOTE_ADDR" not in request.META:
        return
    AuditEntry.objects.create(
        at=timezone.now(),
        actor=name,
        action=action,
        object_type=_LABEL,
        object_id=str(user.pk) if user else "",
        address=caller_address(request.META),
    )
