"""The suppression list: what it stops, and who adds to it and takes from it.

Audience (`messaging.campaigns.lifecycle`), the hand-over of bulletins (`messaging.sql`) and of codes by mail
(`messaging.delivery.send`) ask it.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from clients.keyed_hashes import keyed_hashes
from clients.models import AuthorizedClient, Partner, audit
from messaging import suppression_sql as sql
from messaging.suppression.models import Suppression

log = logging.getLogger(__name__)

CODES_STOPPED_FOR = timedelta(days=30)
"""Time after the last hard bounce in which no code goes to the mailbox; then one is tried."""

Reason = Suppression.Reason


class NotSuppressed(Exception):
    """The entry was lifted before."""


def live(mailbox: str) -> QuerySet[Suppression]:
    """Live entries of a mailbox, newest first."""
    rows = Suppression.objects.filter(mailbox=mailbox, lifted_at__isnull=True).exclude(mailbox="")
    return rows.select_related("partner").order_by("-created_at", "-pk")


def without_suppressed(clients: QuerySet[AuthorizedClient]) -> QuerySet[AuthorizedClient]:
    """The clients to whose mailbox no entry stops the bulletins of their company."""
    stopping = Suppression.objects.filter(
        Q(partner__isnull=True) | Q(partner=OuterRef("partner")), mailbox=OuterRef("email"), lifted_at__isnull=True
    ).exclude(mailbox="")
    return clients.filter(~Exists(stopping))


def code_stopped_until(mailbox: str, *, twin: int | None = None, at: datetime) -> datetime | None:
    """When the next code may go to a mailbox that bounced; None: now. `twin`: the test twin whose code it is."""
    with connection.cursor() as cursor:
        cursor.execute(sql.BOUNCED_LAST, {"mailbox": mailbox, "twin": twin})
        (last,) = cursor.fetchone()
        if last is None:
            cursor.execute(sql.BOUNCED_LAST_ERASED, {"keys": keys_of(mailbox), "twin": twin})
            (last,) = cursor.fetchone()
    if last is None or at >= last + CODES_STOPPED_FOR:
        return None
    until: datetime = last + CODES_STOPPED_FOR
    return until


def add(mailbox: str, reason: str, *, partner: int | None, evidence: str, message: UUID | None, at: datetime) -> int:
    """Write an entry, or renew the live one of the same mailbox, reason and company. Returns its id."""
    return _write(mailbox, reason, partner=partner, evidence=evidence, message=message, by="", at=at)


def add_by_hand(
    mailbox: str, *, partner: Partner | None, reason: str, by: str, at: datetime, address: str | None = None
) -> Suppression:
    """Add a MANUAL entry for staff, or renew the one there is. `reason`: why, in their words."""
    with transaction.atomic():
        key = _write(
            mailbox, Reason.MANUAL, partner=partner.pk if partner else None, evidence=reason, message=None, by=by, at=at
        )
        made = Suppression.objects.get(pk=key)
        audit(made, "suppression.added", at=at, by=by, reason=reason, address=address)
    return made


def lift(entry: Suppression, *, reason: str, by: str, at: datetime, address: str | None = None) -> None:
    """Lift an entry for staff. Raises NotSuppressed."""
    with transaction.atomic():
        rows = Suppression.objects.filter(pk=entry.pk, lifted_at__isnull=True)
        if not rows.update(lifted_at=at, lifted_by=by, lifted_because=reason[:500]):
            raise NotSuppressed
        audit(entry, "suppression.lifted", at=at, by=by, reason=reason, address=address)
    entry.refresh_from_db()


def lift_for_code(mailbox: str, *, twin: int | None = None, at: datetime) -> None:
    """Lift hard bounces of a mailbox whose code was entered: the mail arrived. `twin`: the test twin whose code it
    was, which says nothing about the mailbox of others."""
    because = "se verificó un código enviado a él"
    _run(sql.LIFT_BOUNCES, mailbox=mailbox, keys=keys_of(mailbox), twin=twin, at=at, because=because)


def lift_for_subscription(mailbox: str, partners: Iterable[int], *, at: datetime) -> None:
    """Lift what a confirmed subscription contradicts: hard bounces, since the link arrived, and complaints about these
    partners. Part of the caller's transaction."""
    because = "confirmó su suscripción por el enlace"
    _run(sql.RETURN_MAILBOX, mailbox=mailbox, keys=keys_of(mailbox))
    _run(sql.LIFT_BOUNCES, mailbox=mailbox, keys=[], twin=None, at=at, because=because)
    _run(sql.LIFT_COMPLAINTS, mailbox=mailbox, partners=list(partners), at=at, because=because)


def lift_contradicted(message: UUID, *, at: datetime) -> None:
    """Lift the hard bounce whose evidence is this message: its service reports now that it arrived."""
    _run(sql.LIFT_CONTRADICTED, message=message, at=at, because="el servicio informó después que llegó")


def erase(mailboxes: Sequence[str]) -> int:
    """Erase mailboxes from the list; return how many entries are changed. Part of the caller's transaction.

    Lifted entries go. Live ones keep a keyed hash in place of the mailbox: an erased person must not get mail again
    because they were erased.
    """
    mine = Suppression.objects.filter(mailbox__in=[each for each in mailboxes if each])
    gone, _ = mine.filter(lifted_at__isnull=False).delete()
    kept = list(mine.select_for_update().order_by("pk"))
    for entry in kept:
        Suppression.objects.filter(pk=entry.pk).update(mailbox="", mailbox_key=keys_of(entry.mailbox)[0], evidence="")
    _run(sql.ERASE_FEEDBACK, mailboxes=list(mailboxes))
    return int(gone) + len(kept)


def keys_of(mailbox: str) -> list[str]:
    """Keyed hashes of a mailbox, by SECRET_KEY and by each former key that is still accepted; the newest first."""
    return keyed_hashes("aval.suppressed-mailbox", mailbox)


def lock(mailbox: str) -> None:
    """Let one transaction at a time decide about a mailbox."""
    _run(sql.LOCK_MAILBOX, mailbox=mailbox)


def _write(
    mailbox: str, reason: str, *, partner: int | None, evidence: str, message: UUID | None, by: str, at: datetime
) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SUPPRESS,
            {
                "mailbox": mailbox,
                "partner": partner,
                "reason": str(reason),
                "evidence": evidence[:500],
                "message": message,
                "by": by,
                "at": at,
            },
        )
        key = int(cursor.fetchone()[0])
    log.info("mailbox suppressed", extra={"suppression": key, "reason": str(reason)})
    return key


def _run(statement: str, **params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)
