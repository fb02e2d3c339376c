"""Guard of running campaigns: when too many recipients complain or too many mailboxes bounce, a campaign must pause.

Gmail and Yahoo block senders with 0.3 % complaints, and mail services close accounts for bounces, so it is better to
stop and look at the list of clients.
"""

import logging
from datetime import datetime
from functools import lru_cache

from django.db import connection

from messaging import suppression_sql as sql
from messaging.models import Campaign, RecipientFeedback

log = logging.getLogger(__name__)

LEAST_SENT = 500
"""Mails of a campaign below which nothing is judged."""
COMPLAINTS_PER_MILLE = 3
BOUNCES_PER_MILLE = 50
COUNTED_AT_ONCE = 20_000
"""Mails that a sweep counts each time. More than these are counted once a minute."""
_ALL = 2**31 - 1

Kind = RecipientFeedback.Kind


def feedback_of(campaign: Campaign) -> dict[str, int]:
    """Number of bounces, complaints and unsubscriptions of a campaign, by kind."""
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNT_OF_CAMPAIGN, {"campaign": campaign.pk})
        return {**dict.fromkeys(Kind.values, 0), **dict(cursor.fetchall())}


def reason_to_pause(campaign: Campaign, *, at: datetime) -> str | None:
    """Why a running campaign must pause, in Spanish for staff; None: it may go on.

    None, too, if it paused itself before: staff have seen the figures and resumed it. Cheap while there is little
    feedback: mails are counted only up to the number at which the feedback is no longer too much.
    """
    if campaign.pause_reason:
        return None
    found = feedback_of(campaign)
    for kind, per_mille, what in (
        (Kind.COMPLAINT, COMPLAINTS_PER_MILLE, "lo marcaron como no deseado"),
        (Kind.HARD_BOUNCE, BOUNCES_PER_MILLE, "rebotaron"),
    ):
        too_many_up_to = found[kind] * 1000 // per_mille
        if too_many_up_to < LEAST_SENT:
            continue
        sent = _sent(campaign, too_many_up_to + 1, at=at)
        if LEAST_SENT <= sent <= too_many_up_to:
            percent = f"{100 * found[kind] / sent:.1f}".replace(".", ",")
            limit = f"{per_mille / 10:g}".replace(".", ",")
            return f"{found[kind]} de {sent} {what} ({percent} %; el límite es {limit} %)"
    return None


def report_pause(campaign: Campaign, reason: str) -> None:
    """Log that a campaign paused itself: an alarm for operators."""
    log.error("campaign paused itself", extra={"campaign": campaign.pk, "reason": reason})


def _sent(campaign: Campaign, limit: int, *, at: datetime) -> int:
    """Mails that a provider was asked to send, counted up to a limit."""
    if limit <= COUNTED_AT_ONCE:
        return _count(campaign.pk, limit)
    return _count_each_minute(campaign.pk, at.replace(second=0, microsecond=0))


def _count(campaign_id: int, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.COUNT_SENT, {"campaign": campaign_id, "limit": limit})
        return int(cursor.fetchone()[0])


@lru_cache(maxsize=100)
def _count_each_minute(campaign_id: int, minute: datetime) -> int:
    return _count(campaign_id, _ALL)
