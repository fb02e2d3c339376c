"""Service levels: their objectives, and what was reached by day.

A day is Lima's. It is counted anew while its counts may still change: for minutes those of codes and calls, longer
those of mails that come back.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from clients.local_time import LIMA, midnight
from metrics import sql
from metrics.models import ServiceDay

DAY = timedelta(days=1)
RECOUNTED_DAYS = 3
"""Days that are counted anew, today included."""
WITHIN_2S = 0.99
WITHIN_10S = 0.999
"""Least shares of codes that are handed over to a provider so soon after the request."""
FAULTS = 0.0005
"""Highest share of calls that are answered 5xx."""
LEAST_MAILS = 500
"""Mails of a week below which bounces and complaints are not judged, as in `messaging.campaigns.guard`."""
JUDGED_DAYS = 7


@dataclass(frozen=True, slots=True)
class Level:
    """What was reached of an objective. `share` is None without anything to judge."""

    share: float | None
    is_kept: bool


def keep(*, at: datetime) -> None:
    """Count the last days."""
    today = at.astimezone(LIMA).date()
    for ago in range(RECOUNTED_DAYS):
        keep_day(today - ago * DAY)


def keep_day(day: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.KEEP_DAY, {"day": day, "since": midnight(day), "until": midnight(day + DAY)})


def within_2s(day: ServiceDay) -> Level:
    return _at_least(day.within_2s, day.codes, WITHIN_2S)


def within_10s(day: ServiceDay) -> Level:
    return _at_least(day.within_10s, day.codes, WITHIN_10S)


def faults(day: ServiceDay) -> Level:
    share = day.faults / day.calls if day.calls else None
    return Level(share, share is None or share < FAULTS)


def mail_ratios(*, at: datetime) -> tuple[float, float]:
    """Shares of complaints and of bounces among the mails of the last days; 0 for few mails."""
    first = at.astimezone(LIMA).date() - (JUDGED_DAYS - 1) * DAY
    days = list(ServiceDay.objects.filter(day__gte=first))
    mails = sum(day.mails for day in days)
    if mails < LEAST_MAILS:
        return 0.0, 0.0
    return sum(day.complaints for day in days) / mails, sum(day.bounces for day in days) / mails


def _at_least(good: int, number: int, objective: float) -> Level:
    share = good / number if number else None
    return Level(share, share is None or share >= objective)
