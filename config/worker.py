"""Celery consumer that survives an outage of its broker, and says that its loop runs."""

import logging
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

from clients import heartbeat

log = logging.getLogger(__name__)

LOOP_SECONDS = 2.0
"""Seconds between two heartbeats of the loop."""


class Consumer(CeleryConsumer):
    """Consumer that retries its broker every second and survives kombu's cleanup of a lost connection.

    Celery waits ever longer between retries, up to 30 s; a code is valid for 150 s. One second keeps the promise that
    codes leave within 10 s of the broker's return, however long it was away.

    A lost connection has neither a client nor a transport. Giving its messages back (`restore_unacked_once`) or
    acknowledging them later raises an AttributeError, which Celery does not treat as a lost connection: the worker
    would end.
    """

    connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (*self.connection_errors, AttributeError)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called at each start of the loop, once it is connected. Its timers run in the loop itself."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(LOOP_SECONDS, heartbeat.did, "loop")

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=1)
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            log.warning("what was left of a lost connection could not be cleaned up", exc_info=True)
