"""Feedback on mails: writes each bounce, complaint and unsubscription once, and suppresses the mailbox where it must.

| feedback                                                             | what follows                              |
|----------------------------------------------------------------------|-------------------------------------------|
| hard bounce: X.1.1, X.1.2, X.1.10, X.2.1; a service's "bounced"      | suppressed at once                        |
| any other permanent refusal of the recipient                         | suppressed at the third within 30 days    |
| soft bounce, any temporary refusal                                   | nothing; it does not come here            |
| complaint                                                            | suppressed and unsubscribed, for each     |
|                                                                      | company of that mail                      |
| unsubscribed with the service's own link                             | unsubscribed from each company of the mail |
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from clients.email_subscriptions import unsubscribe_mailbox
from clients.twins import scope_of
from messaging import suppression_sql as sql
from messaging.models import Campaign, Message
from messaging.suppression import listing
from messaging.suppression.models import RecipientFeedback, Suppression

FAILURES = 3
FAILURES_WITHIN = timedelta(days=30)
"""So many permanent failures that are not certain, within this time, suppress a mailbox."""

Kind = RecipientFeedback.Kind
Reason = Suppression.Reason


def bounced(message: UUID, mailbox: str, kind: str, *, partner: int | None, detail: str, at: datetime) -> bool:
    """Record that a mail was refused for good because of its recipient. Idempotent for each message and kind.

    `kind`: HARD_BOUNCE or FAILURE. `partner`: of the mail. Returns whether the mailbox is suppressed by it: for all
    partners, or for the test twin whose mail it was.
    """
    twin = scope_of(partner)
    with transaction.atomic():
        listing.lock(mailbox)
        if not _note(message, kind, detail, at=at):
            return False
        if kind == Kind.FAILURE and _failures(mailbox, twin=twin, at=at) < FAILURES:
            return False
        listing.add(mailbox, Reason.HARD_BOUNCE, partner=twin, evidence=detail, message=message, at=at)
    return True


def reported(message: UUID, kind: str, *, detail: str, at: datetime) -> bool:
    """As `bounced`, for a report of a mail service on a message that it took."""
    found = Message.objects.filter(pk=message).values_list("recipient", "partner_id").first()
    if found is None or not found[0]:
        return False
    mailbox, partner = found
    return bounced(message, mailbox, kind, partner=partner, detail=detail, at=at)


def complained(message: UUID, *, detail: str, at: datetime) -> bool:
    """Record a complaint: the mailbox is unsubscribed from each company of the mail, and suppressed for it.

    Where the mail names no company of the mailbox, it is suppressed for all. Idempotent. False: it was recorded before.
    """
    with transaction.atomic():
        found = _locked(message, Kind.COMPLAINT, detail, at=at)
        if found is None:
            return False
        companies = companies_of(found)
        changed = unsubscribe_mailbox(found.recipient, companies, at=at)
        affected: set[int | None] = {client.partner_id for client in changed}
        if companies is not None:
            affected |= set(companies)
        for partner in affected or {None}:
            listing.add(found.recipient, Reason.COMPLAINT, partner=partner, evidence=detail, message=found.pk, at=at)
    return True


def unsubscribed(message: UUID, *, detail: str, at: datetime) -> bool:
    """Record that the recipient used the mail service's own unsubscribe link. Idempotent."""
    with transaction.atomic():
        found = _locked(message, Kind.UNSUBSCRIBED, detail, at=at)
        if found is None:
            return False
        unsubscribe_mailbox(found.recipient, companies_of(found), at=at)
    return True


def left_by_link(campaign: int, client: int, *, detail: str, at: datetime) -> None:
    """Count an unsubscription by the link of a campaign's mail. Nothing if the client got no such mail."""
    key = Message.objects.filter(campaign=campaign, authorized_client=client).values_list("pk", flat=True).first()
    if key is not None:
        _note(key, Kind.UNSUBSCRIBED, detail, at=at)


def companies_of(message: Message) -> list[int] | None:
    """Partners in whose name a mail was sent. None: all, or no single one.

    One campaign sends one mail to a mailbox, whatever the number of its companies.
    """
    if message.campaign_id is not None:
        chosen = Campaign.partners.through.objects.filter(campaign=message.campaign_id)
        return list(chosen.values_list("partner_id", flat=True)) or None
    return [message.partner_id] if message.partner_id is not None else None


def _locked(message: UUID, kind: str, detail: str, *, at: datetime) -> Message | None:
    """The message of new feedback, with its mailbox locked. None: unknown, erased, or noted before."""
    found = Message.objects.filter(pk=message).first()
    if found is None or not found.recipient:
        return None
    listing.lock(found.recipient)
    return found if _note(message, kind, detail, at=at) else None


def _note(message: UUID, kind: str, detail: str, *, at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql.NOTE_FEEDBACK, {"message": message, "kind": str(kind), "detail": detail[:300], "at": at})
        return bool(cursor.rowcount)


def _failures(mailbox: str, *, twin: int | None, at: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNT_FAILURES, {"mailbox": mailbox, "twin": twin, "since": at - FAILURES_WITHIN})
        return int(cursor.fetchone()[0])
