"""Issuing, checking, rotating and revoking partners' keys.

An opaque token is 32 letters and digits (190 bits from `secrets`), kept as SHA-256: with that much entropy a slow hash
adds nothing. A JWT is HS256, its audience and type pinned, and lives only while its `jti` has a live row here.
Both are looked up by one index at every request, so a revocation or a switched-off partner holds from the next one.
The hot calls of contract 2 compare the version of what they know with the rows instead, by a statement that they need
anyway (`known`, docs/adr/0096).
"""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from clients import sql
from clients.errors import CredentialRefused
from clients.jwt_keys import JwtBackend, jwt_backend, kid_that_signed, newest_kid
from clients.models import Credential, Partner, audit
from clients.postgresql import exchange

OPAQUE = re.compile(r"[A-Za-z0-9]{32}")
TEST_PREFIX = "test"
"""Beginning of an opaque test key (`clients.twins`), by which people tell it from a live one."""
_ALPHABET = string.ascii_letters + string.digits

JWT_LIFETIME = timedelta(days=365)
"""Contract 3: "de larga duración"."""
KNOWN_FOR = timedelta(minutes=1)
"""Time for which a process knows a credential by which it has authenticated (`known`)."""
MOST_KNOWN = 1000
LAST_USED_EVERY = timedelta(minutes=1)
"""Least time between two writes of `last_used_at`. It tells staff which key is in use; once a minute is enough and
saves a write with each request."""


class PartnerToken(Token):
    """Long-lived JWT of a partner. Its type and audience keep it apart from the token of a staff login."""

    token_type = "partner"  # noqa: S105  a claim, not a secret
    lifetime = JWT_LIFETIME

    @property
    def token_backend(self) -> JwtBackend:
        return jwt_backend("aval:partner")


def issue(
    partner: Partner,
    kind: str,
    *,
    at: datetime,
    by: str,
    expires_at: datetime | None = None,
    address: str | None = None,
) -> tuple[Credential, str]:
    """Issue a key. Returns its row and its secret, which is shown to the caller once.

    `expires_at`: without it an opaque token is valid until it is revoked, a JWT 365 days.
    """
    credential = Credential(partner=partner, kind=kind, created_at=at, expires_at=expires_at)
    if kind == Credential.Kind.OPAQUE:
        secret = _new_token(is_test=partner.is_twin)
        credential.digest = _digest(secret)
        credential.prefix = secret[:8] if partner.is_twin else secret[:4]
    else:
        token = PartnerToken()
        credential.expires_at = expires_at or at + JWT_LIFETIME
        token.set_exp(from_time=at, lifetime=credential.expires_at - at)
        token.set_iat(at_time=at)
        token["sub"] = partner.slug
        credential.jti = UUID(token["jti"])
        credential.prefix = token["jti"][:8]
        credential.kid = newest_kid()
        secret = str(token)
    with transaction.atomic():
        credential.save(force_insert=True)
        audit(credential, "credential.issued", at=at, by=by, address=address, kind=kind, partner=partner.slug)
    return credential, secret


def _new_token(*, is_test: bool) -> str:
    """32 letters and digits. Test tokens, and no others, begin with TEST_PREFIX."""
    while True:
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(32))
        if is_test:
            return TEST_PREFIX + secret[len(TEST_PREFIX) :]
        if not secret.startswith(TEST_PREFIX):
            return secret


def revoke(credential: Credential, *, at: datetime, by: str, reason: str = "", address: str | None = None) -> bool:
    """Revoke a key: it is refused from the next request on. False if it had ended before."""
    with transaction.atomic():
        revoked = Credential.objects.filter(pk=credential.pk, revoked_at__isnull=True).update(revoked_at=at)
        if revoked:
            audit(credential, "credential.revoked", at=at, by=by, reason=reason, address=address)
    return bool(revoked)


def rotate(
    credential: Credential, *, overlap: timedelta, at: datetime, by: str, reason: str = "", address: str | None = None
) -> tuple[Credential, str]:
    """Rotate a key: issue one of the same kind and lifetime, and end the old one after `overlap`, never later than it
    would have ended. Raises CredentialRefused if the old key has ended: there is nothing to hand over.

    The row is locked first. If two people rotate a key at once, the second sees what the first did.
    """
    with transaction.atomic():
        old = Credential.objects.select_for_update(of=("self",)).select_related("partner").get(pk=credential.pk)
        if not old.is_live(at=at):
            raise CredentialRefused
        life = old.expires_at - old.created_at if old.expires_at else None
        new, secret = issue(
            old.partner, old.kind, at=at, by=by, address=address, expires_at=at + life if life else None
        )
        before = old.expires_at
        if overlap:
            old.expires_at = min(at + overlap, before) if before else at + overlap
        else:
            old.revoked_at = at
        old.save(update_fields=["expires_at", "revoked_at"])
        changes = [{"field": "expires_at", "before": _iso(before), "after": _iso(old.expires_at)}] if overlap else []
        audit(old, "credential.rotated", at=at, by=by, reason=reason, address=address, new=new.pk, changes=changes)
    return new, secret


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def authenticate(raw: str, *, at: datetime, kinds: tuple[str, ...] = ("opaque", "jwt")) -> Credential:
    """Live credential, with its partner, of an Authorization header.

    Raises CredentialRefused for everything else, without saying why.
    """
    kind, value = _kind_and_value(raw)
    found = _find(kind, value) if kind in kinds else None
    if found is None or not found.credential.is_live(at=at) or not found.credential.partner.is_active:
        raise CredentialRefused
    if not _note_use(found.credential, raw, at=at):
        _remember(raw, found, at=at)
    return found.credential


@dataclass(frozen=True)
class Known:
    """A credential with its partner as they were when this process last authenticated by them.

    `version`: of both rows then (`sql.CREDENTIAL_VERSION`). Any change of one of them makes another one.
    """

    credential: Credential
    version: str


_known: dict[str, tuple[Known, datetime]] = {}
"""By the digest of the header, with the moment of its authentication."""


def known(raw: str, *, at: datetime) -> Known | None:
    """Credential by which this process has authenticated within KNOWN_FOR. None: authenticate.

    It may have ended since. So before the call has an effect or an answer, its `version` must be compared with the
    database's.
    """
    found = _known.get(_digest(raw))
    if found is None or not found[1] <= at < found[1] + KNOWN_FOR or not found[0].credential.is_live(at=at):
        return None
    return found[0]


def _remember(raw: str, found: Known, *, at: datetime) -> None:
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[_digest(raw)] = (found, at)


def _kind_and_value(raw: str) -> tuple[str, str | UUID]:
    """Kind of a credential, and the value by which its row is found."""
    if OPAQUE.fullmatch(raw):
        return Credential.Kind.OPAQUE, _digest(raw)
    return Credential.Kind.JWT, _jti(raw)


def _find(kind: str, value: str | UUID) -> Known | None:
    """Credential with its partner. By a statement of its own: the ORM would be a quarter of a call's cost."""
    (rows,) = exchange((sql.CREDENTIAL[kind], {"value": value}))
    if not rows:
        return None
    row = rows[0]
    columns = len(sql.CREDENTIAL_COLUMNS)
    credential = Credential.from_db(connection.alias, sql.CREDENTIAL_COLUMNS, row[:columns])
    credential.partner = Partner.from_db(connection.alias, sql.PARTNER_COLUMNS, row[columns:-1])
    return Known(credential, row[-1])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _jti(raw: str) -> UUID:
    try:
        return UUID(PartnerToken(raw).payload["jti"])  # type: ignore[arg-type]
    except (TokenError, TokenBackendError, ValueError, TypeError, AttributeError, KeyError) as fault:
        raise CredentialRefused from fault


def _note_use(credential: Credential, raw: str, *, at: datetime) -> bool:
    """Whether the use was due to be noted, which makes another version of the row. The first use of a JWT that was
    issued without the name of its key notes that, too."""
    has_no_kid = credential.kind == Credential.Kind.JWT and not credential.kid
    if has_no_kid:
        Credential.objects.filter(pk=credential.pk, kid="").update(kid=kid_that_signed(raw))
    if credential.last_used_at is not None and credential.last_used_at >= at - LAST_USED_EVERY:
        return has_no_kid
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at - LAST_USED_EVERY)
    Credential.objects.filter(stale, pk=credential.pk).update(last_used_at=at)
    return True
