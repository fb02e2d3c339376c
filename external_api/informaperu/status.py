"""`GET /status`: state of the API and its database, answered within a second whatever hangs."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from datetime import UTC
from threading import Lock

from django.db import Error, connection
from django.http import HttpRequest
from django.utils import timezone

from external_api.frontdoor.contract import Answer
from external_api.informaperu.views import InformaPeruView

STARTED = time.monotonic()
DATABASE_TIMEOUT = 0.8
"""Seconds for the database; the rest of the second is for the network."""


class DatabaseProbe:
    """DatabaseProbe of the database in a thread of its own, which alone waits when the database hangs.

    While one query is unanswered no other is sent: further calls wait for the same answer.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="status")
        self._lock = Lock()
        self._pending: Future[bool] | None = None

    def answers(self) -> bool:
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = self._thread.submit(_select_one)
            pending = self._pending
        try:
            return pending.result(timeout=DATABASE_TIMEOUT)
        except TooSlow:
            return False


def _select_one() -> bool:
    try:
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except Error:
        connection.close()
        return False


_probe = DatabaseProbe()


class StatusView(InformaPeruView):
    action = "status"
    http_method_names = ["get", "head"]
    rate_limited = False
    logged = False
    takes_credential = False

    def get(self, request: HttpRequest) -> Answer:
        alive = _probe.answers()
        now = timezone.now().astimezone(UTC)
        body = {
            "status": "ok" if alive else "error",
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
            "uptime": round(time.monotonic() - STARTED, 1),
        }
        headers = {"Cache-Control": "no-store"}
        return Answer(200, body, headers) if alive else Answer(503, body, headers | {"Retry-After": "5"})
