"""Claims of deliveries and what is recorded of their tries. Nothing here calls anybody."""

import json
import random
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from clients.events.feed import Event
from clients.events.models import EventType
from clients.events.payload import as_json, moment, public_id
from clients.events.writing import write_event
from webhooks import sql
from webhooks.client import Outcome
from webhooks.models import Delivery, Endpoint
from webhooks.schedule import wait_after

LEASE = timedelta(seconds=45)
"""Time of a claim: three times the deadline of a try. What has not been recorded by then is tried again."""
TEST_TYPE = "webhook.test"
"""Type of the body of a test."""
REMOVED = "el evento ya no se conserva"
MOST_ENDPOINTS = 400
"""Most endpoints of one claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is to be tried now. `until` names the claim when its result is recorded."""

    id: UUID
    endpoint_id: UUID
    tries: int
    until: datetime
    url: str
    secret: str
    former_secret: str
    webhook_id: str
    body: str
    is_test: bool
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a claim."""

    claim: Claim
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class Slots:
    """Free slots of a process: those of endpoints that answer, and those that failing and slow ones share."""

    prompt: int
    delayed: int
    slow: Set[UUID]


def claim(slots: Slots, *, at: datetime) -> list[Claim]:
    """Claim due deliveries. An endpoint has Endpoint.MOST_CONCURRENT at once over all processes, a failing
    one has one."""
    if slots.prompt <= 0 and slots.delayed <= 0:
        return []
    until = at + LEASE
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.LOCK_DUE, {"at": at, "limit": MOST_ENDPOINTS})
        wanted = _shared_out(cursor.fetchall(), slots)
        if not wanted:
            return []
        params: dict[str, Any] = {"endpoints": list(wanted), "slots": list(wanted.values()), "at": at, "until": until}
        cursor.execute(sql.CLAIM, params)
        rows = cursor.fetchall()
        gone = [row[0] for row in rows if row[2] is not None and row[10] is None]
        if gone:
            Delivery.objects.filter(pk__in=gone).update(
                status=Delivery.Status.FAILED, claimed_until=None, last_error=REMOVED, finished_at=at
            )
    return [_claim_of(row, until, at=at) for row in rows if row[0] not in gone]


def _shared_out(due: Sequence[tuple[UUID, bool]], slots: Slots) -> dict[UUID, int]:
    """Slots by endpoint: one for each in turn, so that the first does not get them all."""
    wanted: dict[UUID, int] = {}
    left = {False: slots.prompt, True: slots.delayed}
    for turn in range(Endpoint.MOST_CONCURRENT):
        for endpoint, is_failing in due:
            is_delayed = is_failing or endpoint in slots.slow
            if left[is_delayed] > 0 and not (is_failing and turn):
                wanted[endpoint] = wanted.get(endpoint, 0) + 1
                left[is_delayed] -= 1
    return wanted


def _claim_of(row: Sequence[Any], until: datetime, *, at: datetime) -> Claim:
    key, endpoint, event_id, kind, tries, created_at, url, secret, former, former_until, *event, is_failing = row
    if event_id is None:
        webhook_id = f"test_{key.hex}"
        body = {"id": webhook_id, "type": kind, "subject": str(endpoint), "at": None, "data": {}, "test": True}
        happened_at = created_at
    else:
        _, subject, happened_at, data, test = event
        webhook_id = public_id(event_id)
        body = as_json(Event(event_id, kind, subject, happened_at, json.loads(data), test))
    body |= {"at": moment(happened_at), "timestamp": moment(happened_at)}
    return Claim(
        id=key,
        endpoint_id=endpoint,
        tries=tries,
        until=until,
        url=url,
        secret=secret,
        former_secret=former if former and former_until is not None and at < former_until else "",
        webhook_id=webhook_id,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        is_test=event_id is None,
        is_failing=is_failing,
    )


def record(results: Sequence[Result]) -> None:
    """Record tries in one transaction, and pause or end the endpoints that these end.

    A result of a claim that has ended, and that another dispatcher has taken, changes nothing of the delivery.
    """
    for until in sorted({each.claim.until for each in results}):
        _record_claim([each for each in results if each.claim.until == until], until)


def _record_claim(results: Sequence[Result], until: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.LOCK_ENDPOINTS, {"ids": [each.claim.endpoint_id for each in results]})
        cursor.execute(sql.RECORD, {**_columns(results), "until": until})
        # a test says nothing of the events
        _record_endpoints(cursor, [each for each in results if not each.claim.is_test])


def _columns(results: Sequence[Result]) -> dict[str, list[Any]]:
    waits = [_wait(each) for each in results]
    statuses = [
        Delivery.Status.DELIVERED
        if each.outcome.is_success
        else Delivery.Status.FAILED
        if wait is None
        else Delivery.Status.PENDING
        for each, wait in zip(results, waits, strict=True)
    ]
    return {
        "ids": [each.claim.id for each in results],
        "statuses": [str(status.value) for status in statuses],
        "tries": [each.claim.tries + 1 for each in results],
        "next": [None if wait is None else each.at + wait for each, wait in zip(results, waits, strict=True)],
        "ats": [each.at for each in results],
        "last_statuses": [each.outcome.status for each in results],
        "errors": [each.outcome.error for each in results],
    }


def _wait(result: Result) -> timedelta | None:
    """Time until the next try; None: there is none. After a 410 it waits for the endpoint to be woken."""
    if result.outcome.is_success or result.claim.is_test:
        return None
    if result.outcome.is_gone:
        return timedelta(0)
    return wait_after(result.claim.tries + 1, jitter=random.random(), retry_after=result.outcome.retry_after)  # noqa: S311  spreads load, hides nothing


def _record_endpoints(cursor: Any, results: Sequence[Result]) -> None:
    succeeded = {each.claim.endpoint_id: each.at for each in results if each.outcome.is_success}
    failed = {
        each.claim.endpoint_id: each.at
        for each in results
        if not each.outcome.is_success and each.claim.endpoint_id not in succeeded
    }
    ended = {each.claim.endpoint_id: each.at for each in results if each.outcome.is_gone}
    if succeeded:
        cursor.execute(sql.SUCCEEDED, {"ids": list(succeeded), "ats": list(succeeded.values())})
    if ended:
        cursor.execute(sql.STOP_ENDED, {"ids": list(ended), "at": max(ended.values())})
    if failed:
        cursor.execute(sql.FAILED, {"ids": list(failed), "ats": list(failed.values())})
        at = max(failed.values())
        cursor.execute(sql.STOP_FAILING, {"ids": list(failed), "at": at, "before": at - Endpoint.PAUSE_AFTER})
        for endpoint, partner, failing_since in cursor.fetchall():
            data = {"endpoint_id": str(endpoint), "reason": "failing", "failing_since": moment(failing_since)}
            write_event(partner, EventType.ENDPOINT_PAUSED, endpoint, data, at=at)


def release(claims: Sequence[Claim]) -> None:
    """Give up claims that were not tried, so that another dispatcher need not wait for their end."""
    for until in sorted({each.until for each in claims}):
        ids = [each.id for each in claims if each.until == until]
        with connection.cursor() as cursor:
            cursor.execute(sql.RELEASE, {"ids": ids, "until": until})
