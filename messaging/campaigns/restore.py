"""What a restored database holds of mails that may have left after the backup: it is set aside, and staff decides.

Nobody can tell which of them left, and a second mail cannot be taken back. So no mail that waited in the backup leaves,
and no campaign goes on by itself. Codes need nothing: they are over within 150 seconds.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from messaging.campaigns import lifecycle
from messaging.models import Campaign, Message
from messaging.queue.transitions import move
from messaging.transitions_sql import GIVE_UP_LAPSED, SET_ASIDE

WHY = "la base fue restaurada de un respaldo"
"""Reason in the audit and in the events of messages."""
State = Campaign.State


@dataclass(frozen=True)
class SetAside:
    """What was set aside: campaigns that were sending, that were scheduled and that had been paused; mails; and
    messages that were with a provider when the backup was made, of which nobody knows."""

    paused: int
    withdrawn: int
    marked: int
    mails: int
    unknown: int


def set_aside(*, by: str, at: datetime) -> SetAside:
    """Pause what is sending, make drafts of what is scheduled, and cancel the mails that wait. May be run again."""
    paused = withdrawn = 0
    for campaign in Campaign.objects.filter(state__in=[State.SENDING, State.SCHEDULED]).order_by("pk"):
        with transaction.atomic():
            if campaign.state == State.SENDING:
                lifecycle.pause(campaign, by=by, at=at, reason=WHY)
                paused += 1
            else:
                lifecycle.withdraw(campaign, by=by, at=at, reason=WHY)
                withdrawn += 1
            Campaign.objects.filter(pk=campaign.pk).update(restored_at=at)
    had_been_paused = Campaign.objects.filter(Q(state=State.PAUSED), restored_at__isnull=True)
    marked = had_been_paused.update(restored_at=at)
    unknown = _move_all(Message.State.UNKNOWN, GIVE_UP_LAPSED, at=at)
    mails = _move_all(Message.State.CANCELLED, SET_ASIDE, at=at)
    return SetAside(paused, withdrawn, marked, mails, unknown)


def _move_all(to: str, statements: dict[str, str], *, at: datetime) -> int:
    """Move in batches, as sweeps do, until nothing is left. Nobody else works: no row is skipped for long."""
    done = 0
    while moved := move(to, statements, {}, at=at, detail=WHY):
        done += len(moved)
    return done
