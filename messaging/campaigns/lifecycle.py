"""Lifecycle of bulletins and alerts: audience, start, pause and end, and the making of their messages.

Messages are made a few thousand ahead of those sent, not all at once. A campaign of a million then costs table and
queue no more than one of ten thousand, and a pause or cancellation touches only those few thousand.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from clients.models import AuthorizedClient, audit
from messaging.models import Campaign
from messaging.queue import wakeup
from messaging.queue.transitions import move
from messaging.steps import run_each

log = logging.getLogger(__name__)

AHEAD = 5_000
"""Most waiting messages of a campaign."""
BATCH = 1_000
"""Messages made by one statement."""
NEVER = datetime(9999, 12, 30, tzinfo=UTC)
"""Due date of the messages of a paused campaign."""

State = Campaign.State
TRANSITIONS: dict[str, frozenset[str]] = {
    State.DRAFT: frozenset({State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.DRAFT, State.SENDING, State.CANCELLED}),
    State.SENDING: frozenset({State.PAUSED, State.DONE, State.CANCELLED}),
    State.PAUSED: frozenset({State.SENDING, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Transitions in the class docstring of Campaign, as data."""


class WrongState(Exception):
    """The campaign's state does not allow this step, or no longer."""


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
    """Mailboxes, not authorisations: a client authorised by two partners gets one message."""
    return audience(campaign).values("email").distinct().count()


def audience(campaign: Campaign) -> QuerySet[AuthorizedClient]:
    """Clients the campaign would reach now: authorised, subscribed, of its partners and profiles."""
    clients = AuthorizedClient.objects.filter(
        deauthorized_at__isnull=True, subscribed_at__isnull=False, unsubscribed_at__isnull=True
    )
    partners = list(campaign.partners.values_list("pk", flat=True))
    if partners:
        clients = clients.filter(partner__in=partners)
    if campaign.profiles:
        clients = clients.filter(profile__in=campaign.profiles)
    return clients


def schedule(campaign: Campaign, *, begins: datetime, by: str, at: datetime, address: str | None = None) -> int:
    """Schedule the campaign; return how many clients it would reach now. Raises WrongState."""
    count = count_audience(campaign)
    _step(campaign, State.SCHEDULED, by=by, at=at, address=address, scheduled_at=begins, audience=count)
    wakeup.wake("bulk")
    return count


def take_back(campaign: Campaign, *, by: str, at: datetime, address: str | None = None) -> None:
    """Turn a scheduled campaign into a draft again. Raises WrongState."""
    _step(campaign, State.DRAFT, by=by, at=at, address=address, scheduled_at=None)


def pause(campaign: Campaign, *, by: str, at: datetime, address: str | None = None) -> None:
    """Pause: nothing more is sent except what a worker holds at this moment. Raises WrongState."""
    with transaction.atomic():
        _step(campaign, State.PAUSED, by=by, at=at, address=address)
        _put_off(campaign, NEVER)


def resume(campaign: Campaign, *, by: str, at: datetime, address: str | None = None) -> None:
    """Raises WrongState."""
    with transaction.atomic():
        if campaign.state != State.PAUSED:
            raise WrongState
        _step(campaign, State.SENDING, by=by, at=at, address=address)
        _put_off(campaign, at)
    wakeup.wake("bulk")


def cancel(campaign: Campaign, *, by: str, at: datetime, reason: str = "", address: str | None = None) -> int:
    """Cancel; return how many messages were taken back. A message that a worker holds is checked again before its
    hand-over."""
    with transaction.atomic():
        _step(campaign, State.CANCELLED, by=by, at=at, address=address, reason=reason, finished_at=at)
        taken = move("CANCELLED", "campaign_id = %(campaign)s", {"campaign": campaign.pk}, at=at, detail="anulada")
    return len(taken)


def run(*, at: datetime) -> None:
    """Sweep: start what is due, make messages for running campaigns, close those that have ended. Two at once do no
    harm, and a campaign that fails holds up no other."""
    due = Campaign.objects.filter(state=State.SCHEDULED, scheduled_at__lte=at)
    run_each("campaigns.begin", [(str(each.pk), partial(_begin, each, at=at)) for each in due])
    running = Campaign.objects.filter(state=State.SENDING)
    run_each("campaigns.go_on", [(str(each.pk), partial(_go_on, each, at=at)) for each in running])


def _begin(campaign: Campaign, *, at: datetime) -> None:
    if _moved(campaign, State.SENDING, started_at=at):
        log.info("campaign begins", extra={"campaign": campaign.pk, "audience": campaign.audience})


def _go_on(campaign: Campaign, *, at: datetime) -> None:
    # a worker that gave messages back while somebody resumed may have put them off for ever
    made = _put_off(campaign, at, only_due=NEVER)
    if campaign.fanned_out_at is None:
        made += _fan_out(campaign, at=at)
    elif not _waiting(campaign) and _moved(campaign, State.DONE, finished_at=at):
        log.info("campaign has ended", extra={"campaign": campaign.pk})
    if made:
        wakeup.wake("bulk")


def refill(*, at: datetime) -> None:
    """Make the next messages of running campaigns when a worker has found fewer than it could take, without waiting for
    the sweep."""
    running = Campaign.objects.filter(state=State.SENDING, fanned_out_at__isnull=True)
    if sum(_fan_out(campaign, at=at) for campaign in running):
        wakeup.wake("bulk")


def progress(campaign: Campaign) -> Progress:
    """Progress, counted from the messages themselves."""
    counts = campaign.messages.aggregate(
        sent=Count("pk", filter=Q(state__in=["SENT", "DELIVERED", "UNDELIVERED"])),
        failed=Count("pk", filter=Q(state="FAILED")),
        unclear=Count("pk", filter=Q(state="UNKNOWN")),
        skipped=Count("pk", filter=Q(state__in=["CANCELLED", "EXPIRED"])),
        made=Count("pk"),
    )
    made = counts.pop("made")
    whole = made if campaign.fanned_out_at is not None else max(made, campaign.audience or 0)
    return Progress(audience=whole, **counts)


def _fan_out(campaign: Campaign, *, at: datetime) -> int:
    """Make the next messages, up to AHEAD that wait. Can be restarted anywhere: the campaign's row holds how far it
    came, and no client gets two."""
    made = 0
    while True:
        with transaction.atomic():
            locked = (
                Campaign.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(pk=campaign.pk, state=State.SENDING, fanned_out_at__isnull=True)
                .first()
            )
            if locked is None or _waiting(locked) >= AHEAD:
                return made
            ids = list(
                audience(locked)
                .filter(pk__gt=locked.last_client_id)
                .order_by("pk")
                .values_list("pk", flat=True)[:BATCH]
            )
            if not ids:
                Campaign.objects.filter(pk=locked.pk).update(fanned_out_at=at)
                return made
            made += _make_messages(locked, ids, at=at)
            Campaign.objects.filter(pk=locked.pk).update(last_client_id=ids[-1])


def _make_messages(campaign: Campaign, ids: list[int], *, at: datetime) -> int:
    """One statement for a batch. Text and HTML stay with the campaign: a copy for each client would fill the disk."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO messaging_message (
                id, partner_id, authorized_client_id, campaign_id, request_id, kind, via, recipient, subject,
                text, html, state, attempts, next_attempt_at, provider, provider_id, provider_reply, created_at
            )
            SELECT gen_random_uuid(), partner_id, id, %(campaign)s, request_id, %(kind)s, 'C', email, %(subject)s,
                   '', '', 'QUEUED', 0, %(at)s, '', '', '', %(at)s
            FROM clients_authorizedclient WHERE id = ANY(%(ids)s)
            ON CONFLICT DO NOTHING
            """,
            {"campaign": campaign.pk, "kind": campaign.type, "subject": campaign.full_subject, "at": at, "ids": ids},
        )
        return int(cursor.rowcount)


def _waiting(campaign: Campaign) -> int:
    """Number of unsettled messages. States are literals, so that the partial index is used."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM messaging_message WHERE campaign_id = %s AND state IN ('QUEUED', 'SENDING')",
            [campaign.pk],
        )
        return int(cursor.fetchone()[0])


def _put_off(campaign: Campaign, due: datetime, *, only_due: datetime | None = None) -> int:
    """Set when the waiting messages are due."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_message SET next_attempt_at = %(due)s"
            " WHERE campaign_id = %(campaign)s AND state IN ('QUEUED', 'SENDING')"
            " AND (%(only)s::timestamptz IS NULL OR next_attempt_at = %(only)s)",
            {"due": due, "campaign": campaign.pk, "only": only_due},
        )
        return int(cursor.rowcount)


def _moved(campaign: Campaign, to: str, **changes: object) -> bool:
    """Conditional UPDATE of the state; False if another process was first."""
    sources = [state for state, targets in TRANSITIONS.items() if to in targets]
    return bool(Campaign.objects.filter(pk=campaign.pk, state__in=sources).update(state=to, **changes))


def _step(
    campaign: Campaign, to: str, *, by: str, at: datetime, address: str | None, reason: str = "", **changes: object
) -> None:
    """A step taken by staff: checked, done, audited."""
    with transaction.atomic():
        if not _moved(campaign, to, **changes):
            raise WrongState
        audit(campaign, f"campaign.{to.lower()}", at=at, by=by, reason=reason, address=address)
    campaign.refresh_from_db()
