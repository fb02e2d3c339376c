"""Take-over: events behind an endpoint's cursor become deliveries, and the cursor moves behind them.

Both in one transaction, so that no event is missed and none becomes two deliveries, whenever the process dies.
"""

import logging
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from clients.events import feed
from clients.events.feed import Cursor, CursorGone, Page
from clients.uuid7 import uuid7
from webhooks import sql
from webhooks.models import Delivery, Endpoint

log = logging.getLogger(__name__)

PAGE = 250
"""Most events of one transaction."""


def endpoints_with_news() -> list[UUID]:
    """Active endpoints with events behind their cursors."""
    with connection.cursor() as cursor:
        cursor.execute(sql.WITH_NEWS)
        return [row[0] for row in cursor.fetchall()]


def take_over(endpoint_id: UUID, *, at: datetime) -> int:
    """Make deliveries of the next events of an endpoint, as many as it may have open; return how many.

    An endpoint that another dispatcher has locked is left to it.
    """
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=endpoint_id).first()
        if endpoint is None or endpoint.status != Endpoint.Status.ACTIVE:
            return 0
        open_now = Delivery.objects.filter(endpoint=endpoint, status=Delivery.Status.PENDING).count()
        limit = min(PAGE, Endpoint.MOST_OPEN - open_now)
        if limit <= 0:
            return 0
        page = _page(endpoint, limit)
        events = [each for each in page.events if each.at >= endpoint.created_at]  # a new epoch begins with the oldest
        endpoint.epoch = page.next.epoch
        endpoint.cursor_xid, endpoint.cursor_event_id = page.next.xid, page.next.event_id
        endpoint.save(update_fields=["epoch", "cursor_xid", "cursor_event_id", "resumed_from"])
        if not events:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                sql.TAKE_OVER,
                {
                    "endpoint": endpoint.pk,
                    "at": at,
                    "ids": [uuid7() for _ in events],
                    "events": [each.id for each in events],
                    "types": [each.type for each in events],
                },
            )
            return int(cursor.rowcount)


def _page(endpoint: Endpoint, limit: int) -> Page:
    """The next page; the first that is kept where events behind the cursor were removed, which the endpoint says."""
    after = Cursor(endpoint.epoch, endpoint.cursor_xid, endpoint.cursor_event_id)
    try:
        return feed.read(endpoint.partner_id, after, types=endpoint.types, limit=limit)
    except CursorGone as gone:
        page = feed.read(endpoint.partner_id, gone.oldest, types=endpoint.types, limit=limit)
        endpoint.resumed_from = page.events[0].at if page.events else None
        log.warning(
            "an endpoint missed events that were removed",
            extra={"endpoint": str(endpoint.pk), "resumed_from": str(endpoint.resumed_from)},
        )
        return page
