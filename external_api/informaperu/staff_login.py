"""Staff login of contract 2: name, password and, where the account has one, its second factor.

A missing part and a wrong one have the same answer, and count the same.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from clients import hashing
from clients.client_ip import caller_address
from external_api.frontdoor.errors import RateLimited
from external_api.informaperu.contract import LoginRefused
from staff import authentication, passwords, second_factor


def count_try(address: str) -> None:
    """Raises RateLimited."""
    try:
        authentication.count_try(address)
    except authentication.TooManyTries as limit:
        raise RateLimited(limit.seconds) from None


def log_in(request: HttpRequest, name: str, password: str, code: str, *, at: datetime) -> User:
    """Return the staff account with this name, password and second factor. Raises LoginRefused, or RateLimited while
    locked out, delayed, or too many passwords are compared."""
    try:
        with authentication.password_try(request, name, at=at):
            has_device = (
                second_factor.device_of_name(name) is not None
            )  # for every name: the time of an answer must not show who has one
            user = authentication.password_is_of(request, name, password, at=at)
            if user is not None and not _second_factor_is_given(request, user, code, has_device=has_device, at=at):
                authentication.count_failure(request, name, at=at)
                user = None
            if user is not None and passwords.must_change(user):
                user = None  # who typed it knows it; it opens nothing but its change, in the browser
    except authentication.LockedOut as error:
        raise RateLimited(error.seconds) from None
    except hashing.HashesBusy:
        raise RateLimited(hashing.RETRY_AFTER) from None
    # The fifth failure is answered like the four before it, in the contract's envelope and not by axes' middleware.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    if user is None:
        raise LoginRefused
    authentication.count_success(request, name, at=at)
    user_logged_in.send(sender=type(user), request=request, user=user)  # resets the failures so far
    return user


def _second_factor_is_given(request: HttpRequest, user: User, code: str, *, has_device: bool, at: datetime) -> bool:
    if not has_device:
        return not second_factor.is_required()
    if not code:
        return False  # nothing was guessed: no wait of the authenticator app
    try:
        second_factor.check(user, code, at=at, address=caller_address(request.META))
    except (second_factor.CodeRefused, second_factor.TryLater, second_factor.NotEnrolled):
        return False
    return True
