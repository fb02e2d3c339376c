"""Token of a staff login: valid an hour, for the staff API only."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from clients.errors import CredentialRefused
from clients.jwt_keys import JwtBackend, jwt_backend
from staff import login_marks

TOKEN_LIFETIME = timedelta(hours=1)
"""Short, since a leaked token is valid until then; an agent logs in again."""

_CLAIM, _SALT = "login", "aval.staff-token"
"""Claim that ties a token to the password it was issued for: a changed password ends it."""


class StaffToken(Token):
    """Type and audience differ from a partner's token: neither decodes as the other."""

    token_type = "staff"  # noqa: S105  the kind of token, no secret
    lifetime = TOKEN_LIFETIME

    @property
    def token_backend(self) -> JwtBackend:
        return jwt_backend("aval:staff")


def issue_for(user: User, *, at: datetime) -> str:
    token = StaffToken()
    token.set_exp(from_time=at, lifetime=TOKEN_LIFETIME)
    token.set_iat(at_time=at)
    token["sub"] = str(user.pk)
    token[_CLAIM] = login_marks.mark_of(user, _SALT)  # hashed: a token can be read by its holder
    return str(token)


def user_of_token(raw: str) -> User:
    """The holder of the token, if they are still active staff with the same password.

    Raises CredentialRefused for everything else, without a reason.
    """
    try:
        token = StaffToken(raw)  # type: ignore[arg-type]
        user = User.objects.filter(pk=int(token["sub"]), is_active=True, is_staff=True).first()
        login = str(token[_CLAIM])
    except (TokenError, KeyError, ValueError, TypeError) as fault:
        raise CredentialRefused from fault
    if user is None or not login_marks.is_mark_of(user, _SALT, login):
        raise CredentialRefused
    return user
