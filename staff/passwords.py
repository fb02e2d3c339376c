"""Passwords of staff: the first one, which must be changed, and a new one for who has forgotten theirs.

Whoever asks for a new one learns nothing about the name that they typed. The link in the mail carries Django's token,
which works once, for an hour, and until the password, the address or the last login changes. It replaces the password
only; the second factor stays.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from clients.models import audit
from clients.rate_limits import counters
from staff.models import FirstPassword, ResetRequest

MAILS_PER_HOUR = 3
"""Mails for one name. The mailbox of a colleague is no place to shoot at."""
LINK_PATH = "/ingreso/clave/"
"""Beginning of the path of every link (`staff.urls`)."""
MOST_AT_ONCE = 20
"""Requests that one call of `take` takes; the next call takes the next."""


class LinkRefused(Exception):
    """The link is none of ours, was used, or is too old."""


def must_change(user: User) -> bool:
    return FirstPassword.objects.filter(pk=user.pk).exists()


def chosen_by_other(user: User, *, at: datetime) -> None:
    """Note that somebody else typed this user's password. Call it in the transaction that stores it."""
    FirstPassword.objects.update_or_create(pk=user.pk, defaults={"since": at})


def chosen_by_user(user: User) -> None:
    FirstPassword.objects.filter(pk=user.pk).delete()


def ask_for_link(name: str, *, at: datetime, address: str | None) -> None:
    """Ask for a mail to the user of this name. Does the same for every name; MAILS_PER_HOUR are sent for one."""
    key = salted_hmac("aval.reset-name", name, algorithm="sha256").hexdigest()[:40]
    if counters.hit_hour(f"reset:{key}", MAILS_PER_HOUR):
        return
    user = User.objects.filter(username=name).first()
    ResetRequest.objects.create(user=user, asked_at=at, address=address)


def take() -> list[User]:
    """Take the waiting requests, and return whom to send a link. Of two workers one gets each. The audit entry is
    written here: the page does the same work for every name."""
    with transaction.atomic():
        rows = ResetRequest.objects.select_for_update(skip_locked=True, of=("self",)).select_related("user")
        waiting = list(rows.order_by("pk")[:MOST_AT_ONCE])
        ResetRequest.objects.filter(pk__in=[each.pk for each in waiting]).delete()
        asked = {each.user: each for each in waiting if each.user is not None and _may_reset(each.user)}
        for user, each in asked.items():
            audit(user, "user.reset_asked", at=each.asked_at, by=user.get_username(), address=each.address)
    return list(asked)


def link_for(user: User) -> str:
    where = reverse("staff_new_password", args=[urlsafe_base64_encode(force_bytes(user.pk)), _token(user)])
    return f"{settings.PUBLIC_URL}{where}"


def user_of_link(key: str, token: str) -> User:
    """Raises LinkRefused."""
    try:
        user = User.objects.filter(pk=int(urlsafe_base64_decode(key))).first()
    except (ValueError, OverflowError):
        raise LinkRefused from None
    if user is None or not _may_reset(user) or not default_token_generator.check_token(user, token):
        raise LinkRefused
    return user


def reset(key: str, token: str, password: str, *, at: datetime, address: str | None) -> User:
    """Set a new password by a link. Every session of the user ends, since it is bound to the password. Raises
    LinkRefused: of two uses at once the second finds that the password has changed."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).filter(pk=user_of_link(key, token).pk).first()
        user = user_of_link(key, token)
        user.set_password(password)
        user.save(update_fields=["password"])
        chosen_by_user(user)
        audit(user, "user.password_reset", at=at, by=user.get_username(), address=address)
    return user


def _may_reset(user: User) -> bool:
    """Who has no password must not get one by mail: an administrator took it from them."""
    return user.is_active and user.is_staff and bool(user.email) and user.has_usable_password()


def _token(user: User) -> str:
    return str(default_token_generator.make_token(user))
