"""The token of a staff login: an hour of the staff API, and nothing else."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from clients.credentials import jwt_backend
from clients.errors import CredentialRefused

LIFE = timedelta(hours=1)
"""An agent logs in again after it; a token that leaks is worth no more."""

_LOGIN = "login"
"""The claim that ties a token to the password it was given for: a changed password ends it."""


class StaffToken(Token):
    """Type and audience keep it apart from a partner's: neither decodes as the other."""

    token_type = "staff"  # noqa: S105
    lifetime = LIFE

    @property
    def token_backend(self) -> TokenBackend:
        return jwt_backend("aval:staff")


def issue_for(user: User, *, at: datetime) -> str:
    token = StaffToken()
    token.set_exp(from_time=at, lifetime=LIFE)
    token.set_iat(at_time=at)
    token["sub"] = str(user.pk)
    token[_LOGIN] = _login_of(user)
    return str(token)


def user_behind(raw: str) -> User:
    """Who holds the token, if he still is of the staff and his password is still the same.

    Raises CredentialRefused for everything else, without saying why.
    """
    try:
        token = StaffToken(raw)  # type: ignore[arg-type]
        user = User.objects.filter(pk=int(token["sub"]), is_active=True, is_staff=True).first()
        login = str(token[_LOGIN])
    except (TokenError, KeyError, ValueError, TypeError) as fault:
        raise CredentialRefused from fault
    if user is None or not constant_time_compare(login, _login_of(user)):
        raise CredentialRefused
    return user


def _login_of(user: User) -> str:
    # Hashed once more: the session's own hash opens sessions and must not travel in a token anybody can read.
    return salted_hmac("aval.staff-token", user.get_session_auth_hash(), algorithm="sha256").hexdigest()
