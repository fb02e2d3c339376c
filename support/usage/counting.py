"""Counts of days. A day that is over is counted once and kept; a figure then costs some rows instead of a year's.

A receipt may come days later: the last RECOUNTED_DAYS are counted again every hour. Days that are not counted yet, and
today, are counted when they are asked for, within a limit of time.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from clients.local_time import LIMA, midnight
from clients.models import Partner
from external_api.partners import usage
from messaging.models import Message
from support import sql
from support.models import CountedDay, UsageCount
from tokens.models import VerificationToken

DAY = timedelta(days=1)
RECOUNTED_DAYS = 8
"""Days for which receipts and returned mails still come."""
RECOUNT_AFTER = timedelta(minutes=55)
STATEMENT_MS = 1_000
"""Limit of one statement, in milliseconds. A day that takes longer is counted in halves."""
SHORTEST = timedelta(minutes=1)
LIVE_SECONDS = 2.0
"""Time after which a page begins no further day. What it does not reach it names."""
DAY_SECONDS = 8.0
"""Limit of one day that a page counts itself."""


class TooLong(Exception):
    """The time for a count is over."""


class Group(NamedTuple):
    """What is counted together. `source`: a message (M) or a code (C)."""

    source: str
    partner_id: int | None
    kind: str
    via: str
    provider: str
    outcome: str
    arrived: bool


Counts = Counter[Group]


def count(since: datetime, until: datetime, *, deadline: float = math.inf) -> Counts:
    """Counts of the rows made from `since` to before `until`, in statements of at most STATEMENT_MS each. Raises
    TooLong where one would begin after `deadline` (monotonic)."""
    if time.monotonic() > deadline:
        raise TooLong
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.LIMIT_STATEMENTS, {"limit": f"{STATEMENT_MS}ms"})
            cursor.execute(sql.USAGE, {"since": since, "until": until})
            return Counter({Group(*row[:-1]): row[-1] for row in cursor.fetchall()})
    except OperationalError:
        if until - since <= SHORTEST:
            raise
        half = since + (until - since) / 2
        return count(since, half, deadline=deadline) + count(half, until, deadline=deadline)


def count_day(day: date, *, deadline: float = math.inf) -> Counts:
    return count(midnight(day), midnight(day + DAY), deadline=deadline)


def keep(day: date, *, at: datetime) -> None:
    """Count a day and keep it in place of what was kept. Of two at once the second waits and counts the same."""
    counts = count_day(day)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql.LOCK_DAY, {"key": f"usage:{day}"})
        UsageCount.objects.filter(day=day).delete()
        UsageCount.objects.bulk_create(UsageCount(day=day, **group._asdict(), count=n) for group, n in counts.items())
        CountedDay.objects.update_or_create(pk=day, defaults={"counted_at": at})


def keep_due(*, at: datetime, seconds: float) -> int:
    """Keep the days that are due, the newest first, for about `seconds`; return how many."""
    deadline, done = time.monotonic() + seconds, 0
    for day in due(at=at):
        if time.monotonic() > deadline:
            break
        keep(day, at=at)
        done += 1
    return done


def due(*, at: datetime) -> Iterator[date]:
    """Days before today that are not counted, or that may have changed since."""
    today, first = _day(at), first_day()
    if first is None:
        return
    counted = dict(CountedDay.objects.values_list("day", "counted_at"))
    for ago in range(1, (today - first).days + 1):
        day = today - ago * DAY
        if day not in counted or (ago <= RECOUNTED_DAYS and at - counted[day] >= RECOUNT_AFTER):
            yield day


def first_day() -> date | None:
    """Day of the oldest row that counts. None: there is none."""
    counted: tuple[QuerySet[Any], ...] = (
        Message.objects.exclude(partner__in=Partner.objects.filter(twin_of__isnull=False)),
        VerificationToken.objects.filter(twin__isnull=True),
    )
    oldest = [rows.order_by("created_at").values_list("created_at", flat=True).first() for rows in counted]
    return min((_day(each) for each in oldest if each is not None), default=None)


class Usage(NamedTuple):
    """Counts of some days by day, and the days that could not be counted now."""

    by_day: dict[date, Counts]
    missing: list[date]

    @property
    def total(self) -> Counts:
        return sum(self.by_day.values(), Counter())


def of_days(since: date, until: date, *, at: datetime) -> Usage:
    """Counts of the days from `since` to `until`, both included: kept ones, and the others counted now."""
    found: dict[date, Counts] = {}
    kept = set(CountedDay.objects.filter(day__range=(since, until)).values_list("day", flat=True))
    fields = ("day", *Group._fields, "count")
    for day, *group, n in UsageCount.objects.filter(day__range=(since, until)).values_list(*fields):
        found.setdefault(day, Counter())[Group(*group)] = n
    missing, deadline, first = [], time.monotonic() + LIVE_SECONDS, first_day()
    for day in _backwards(max(since, first or until), min(until, _day(at))):
        if day in kept:
            continue
        if (now := time.monotonic()) > deadline:
            missing.append(day)
            continue
        try:
            found[day] = count_day(day, deadline=now + DAY_SECONDS)
        except (TooLong, OperationalError):
            missing.append(day)
    return Usage({day: found[day] for day in sorted(found)}, missing[::-1])


def of_partner(partner_id: int, since: date, until: date, at: datetime) -> usage.Usage:
    """Counts of one partner, for its own API."""
    found = of_days(since, until, at=at)
    counts = [
        usage.Count(day, group.source == UsageCount.Source.MESSAGE, group.via, group.outcome, group.arrived, n)
        for day, groups in found.by_day.items()
        for group, n in groups.items()
        if group.partner_id == partner_id
    ]
    return usage.Usage(counts, found.missing)


def _backwards(since: date, until: date) -> Iterator[date]:
    while until >= since:
        yield until
        until -= DAY


def _day(at: datetime) -> date:
    return at.astimezone(LIMA).date()
