"""Lifecycle of campaigns: audience, changes of state, creation of messages, progress.

Messages are made a few thousand at a time, ahead of delivery. So a campaign of a million costs the queue no more than
one of ten thousand, and pausing or cancelling changes only the messages that are made.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from clients.models import AuthorizedClient, Partner, audit
from messaging import sql
from messaging.campaigns import guard
from messaging.models import Campaign, Message
from messaging.queue import wakeup
from messaging.queue.transitions import move
from messaging.steps import run_each
from messaging.suppression import listing
from messaging.transitions_sql import CANCEL_CAMPAIGN

log = logging.getLogger(__name__)

MAX_WAITING = 5_000
"""Waiting messages of one campaign at most."""
BATCH_SIZE = 1_000
"""Messages made by one statement."""
NEVER = datetime(9999, 12, 30, tzinfo=UTC)
"""Due time of a paused campaign's messages."""
BY_ITSELF = "el sistema"
"""Actor of a pause in the audit that no member of staff has asked for."""

State = Campaign.State
TRANSITIONS: dict[str, frozenset[str]] = {
    State.DRAFT: frozenset({State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.DRAFT, State.SENDING, State.CANCELLED}),
    State.SENDING: frozenset({State.PAUSED, State.DONE, State.CANCELLED}),
    State.PAUSED: frozenset({State.SENDING, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The diagram of Campaign as data."""


class WrongState(Exception):
    """The campaign's state does not allow this change (any more)."""


@dataclass(frozen=True)
class Progress:
    """Progress of a campaign, in recipients."""

    audience: int
    sent: int
    failed: int
    unclear: int
    skipped: int

    @property
    def left(self) -> int:
        return max(self.audience - self.sent - self.failed - self.unclear - self.skipped, 0)

    @property
    def percent(self) -> int:
        return 100 if not self.audience else round(100 * (self.audience - self.left) / self.audience)


def count_audience(campaign: Campaign) -> int:
    """Number of mailboxes, not of authorisations: a client authorised by two partners gets one message."""
    return audience(campaign).values("email").distinct().count()


def audience(campaign: Campaign) -> QuerySet[AuthorizedClient]:
    """The clients that it would reach now: authorised, subscribed, of its partners and profiles, not suppressed.
    Clients of a test twin get no campaign."""
    clients = AuthorizedClient.objects.filter(
        deauthorized_at__isnull=True, subscribed_at__isnull=False, unsubscribed_at__isnull=True
    ).exclude(partner__in=Partner.objects.filter(twin_of__isnull=False))
    partners = list(campaign.partners.values_list("pk", flat=True))
    if partners:
        clients = clients.filter(partner__in=partners)
    if campaign.profiles:
        clients = clients.filter(profile__in=campaign.profiles)
    return listing.without_suppressed(clients)


def schedule(campaign: Campaign, *, begins: datetime, by: str, at: datetime, address: str | None = None) -> int:
    """Schedule a campaign. Returns the present size of its audience. Raises WrongState."""
    count = count_audience(campaign)
    _change_state(campaign, State.SCHEDULED, by=by, at=at, address=address, scheduled_at=begins, audience=count)
    wakeup.wake("bulk")
    return count


def withdraw(campaign: Campaign, *, by: str, at: datetime, address: str | None = None, reason: str = "") -> None:
    """Make a scheduled campaign a draft again. Raises WrongState."""
    _change_state(campaign, State.DRAFT, by=by, at=at, address=address, reason=reason, scheduled_at=None)


def pause(campaign: Campaign, *, by: str, at: datetime, address: str | None = None, reason: str = "") -> None:
    """Pause a campaign. Only messages that are handed over already still leave. Raises WrongState."""
    with transaction.atomic():
        _change_state(campaign, State.PAUSED, by=by, at=at, address=address, reason=reason)
        _set_due(campaign, NEVER)


def resume(campaign: Campaign, *, by: str, at: datetime, reason: str = "", address: str | None = None) -> None:
    """Resume a paused campaign. One that had paused itself does so only once: staff know its figures now.

    Raises WrongState.
    """
    with transaction.atomic():
        if campaign.state != State.PAUSED:
            raise WrongState
        _change_state(campaign, State.SENDING, by=by, at=at, address=address, reason=reason)
        _set_due(campaign, at)
    wakeup.wake("bulk")


def cancel(campaign: Campaign, *, by: str, at: datetime, reason: str = "", address: str | None = None) -> int:
    """Cancel a campaign. Returns the number of messages cancelled. Claimed ones are checked again at the hand-over.

    Raises WrongState.
    """
    with transaction.atomic():
        _change_state(campaign, State.CANCELLED, by=by, at=at, address=address, reason=reason, finished_at=at)
        taken = move("CANCELLED", CANCEL_CAMPAIGN, {"campaign": campaign.pk}, at=at, detail="anulada")
    return len(taken)


def copy(campaign: Campaign, *, by: str, at: datetime, address: str | None = None) -> Campaign:
    """Make a draft with the same texts and recipients."""
    with transaction.atomic():
        made = Campaign.objects.create(
            type=campaign.type,
            subject=campaign.subject,
            text=campaign.text,
            html=campaign.html,
            is_advertising=campaign.is_advertising,
            profiles=campaign.profiles,
            created_by=by,
            created_at=at,
        )
        made.partners.set(campaign.partners.all())
        audit(made, "campaign.copied", at=at, by=by, address=address, of=campaign.pk, subject=made.subject)
    return made


def run(*, at: datetime) -> None:
    """Sweep: start due campaigns, make messages for running ones, close those that have ended.

    Two sweeps at once do no harm, and a campaign that fails does not delay the others.
    """
    due = Campaign.objects.filter(state=State.SCHEDULED, scheduled_at__lte=at)
    run_each("campaigns.begin", [(str(each.pk), partial(_begin, each, at=at)) for each in due])
    running = Campaign.objects.filter(state=State.SENDING)
    run_each("campaigns.go_on", [(str(each.pk), partial(_continue, each, at=at)) for each in running])


def _begin(campaign: Campaign, *, at: datetime) -> None:
    if _move(campaign, State.SENDING, started_at=at):
        log.info("campaign begins", extra={"campaign": campaign.pk, "audience": campaign.audience})


def _continue(campaign: Campaign, *, at: datetime) -> None:
    if pause_if_unwanted(campaign, at=at):
        return
    # a worker that returned messages while the campaign was resumed may have set them to NEVER
    made = _set_due(campaign, at, only_due=NEVER)
    if campaign.fanned_out_at is None:
        made += _fan_out(campaign, at=at)
    elif not _waiting(campaign) and _move(campaign, State.DONE, finished_at=at):
        log.info("campaign has ended", extra={"campaign": campaign.pk})
    if made:
        wakeup.wake("bulk")


def pause_if_unwanted(campaign: Campaign, *, at: datetime) -> bool:
    """Pause a running campaign with too many complaints or bounces (`messaging.campaigns.guard`). False: it goes on."""
    reason = guard.reason_to_pause(campaign, at=at)
    if reason is None:
        return False
    with transaction.atomic():
        if not _move(campaign, State.PAUSED, pause_reason=reason):
            return False
        audit(campaign, "campaign.paused", at=at, by=BY_ITSELF, reason=reason)
        _set_due(campaign, NEVER)
    guard.report_pause(campaign, reason)
    return True


def refill(*, at: datetime) -> None:
    """Make the next messages of running campaigns before the sweep does, when a worker got less than a batch."""
    running = Campaign.objects.filter(state=State.SENDING, fanned_out_at__isnull=True)
    if sum(_fan_out(campaign, at=at) for campaign in running):
        wakeup.wake("bulk")


COUNTED_STATES = {
    "sent": ("SENT", "DELIVERED", "UNDELIVERED"),
    "failed": ("FAILED",),
    "unclear": ("UNKNOWN",),
    "skipped": ("CANCELLED", "EXPIRED"),
}
"""States of the messages that each figure of Progress counts."""
_COUNTS = {
    **{name: Count("pk", filter=Q(state__in=states)) for name, states in COUNTED_STATES.items()},
    "made": Count("pk"),
}
"""Aggregates over messages: the fields of Progress, and `made`, the number of messages."""


def progress(campaign: Campaign) -> Progress:
    """Progress of one campaign, counted from its messages."""
    return _progress_from(campaign, campaign.messages.aggregate(**_COUNTS))


def progress_by_campaign(campaigns: Sequence[Campaign]) -> dict[int, Progress]:
    """Progress of several campaigns by primary key, in one query. Those without messages are left out."""
    by_key = {campaign.pk: campaign for campaign in campaigns}
    rows: Iterable[Any] = Message.objects.filter(campaign__in=list(by_key)).values("campaign").annotate(**_COUNTS)
    found = {}
    for row in rows:
        key = row.pop("campaign")
        found[key] = _progress_from(by_key[key], row)
    return found


def _progress_from(campaign: Campaign, counts: dict[str, int]) -> Progress:
    made = counts.pop("made")
    audience = made if campaign.fanned_out_at is not None else max(made, campaign.audience or 0)
    return Progress(audience=audience, **counts)


def _fan_out(campaign: Campaign, *, at: datetime) -> int:
    """Make the next messages, up to MAX_WAITING. Returns how many.

    It can be interrupted at any point: `last_client_id` records how far it came, and no client gets two messages.
    """
    made = 0
    while True:
        with transaction.atomic():
            locked = (
                Campaign.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(pk=campaign.pk, state=State.SENDING, fanned_out_at__isnull=True)
                .first()
            )
            if locked is None or _waiting(locked) >= MAX_WAITING:
                return made
            ids = list(
                audience(locked)
                .filter(pk__gt=locked.last_client_id)
                .order_by("pk")
                .values_list("pk", flat=True)[:BATCH_SIZE]
            )
            if not ids:
                Campaign.objects.filter(pk=locked.pk).update(fanned_out_at=at)
                return made
            made += _make_messages(locked, ids, at=at)
            Campaign.objects.filter(pk=locked.pk).update(last_client_id=ids[-1])


def _make_messages(campaign: Campaign, ids: list[int], *, at: datetime) -> int:
    """Make a batch in one statement. Text and HTML stay with the campaign: a copy per client would fill the disk."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.MAKE_MESSAGES,
            {"campaign": campaign.pk, "kind": campaign.type, "subject": campaign.full_subject, "at": at, "ids": ids},
        )
        return int(cursor.rowcount)


def _waiting(campaign: Campaign) -> int:
    """Number of its messages that are queued or being sent."""
    with connection.cursor() as cursor:
        cursor.execute(sql.WAITING, {"campaign": campaign.pk})
        return int(cursor.fetchone()[0])


def _set_due(campaign: Campaign, due: datetime, *, only_due: datetime | None = None) -> int:
    """Set the due time of its waiting messages; with `only_due`, of those with this due time. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SET_DUE, {"due": due, "campaign": campaign.pk, "only": only_due})
        return int(cursor.rowcount)


def _move(campaign: Campaign, to: str, **changes: object) -> bool:
    """Change the state by a conditional UPDATE. False: another process was first."""
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    return bool(Campaign.objects.filter(pk=campaign.pk, state__in=sources).update(state=to, **changes))


def _change_state(
    campaign: Campaign, to: str, *, by: str, at: datetime, address: str | None, reason: str = "", **changes: object
) -> None:
    """Change the state for staff, with its audit entry. Raises WrongState."""
    with transaction.atomic():
        if not _move(campaign, to, **changes):
            raise WrongState
        audit(campaign, f"campaign.{to.lower()}", at=at, by=by, reason=reason, address=address)
    campaign.refresh_from_db()
