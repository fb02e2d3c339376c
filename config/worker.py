"""Celery's consumer with a shorter patience between tries to reach the broker."""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer


class Consumer(CeleryConsumer):
    """Celery waits up to 30 s more between tries the longer a broker is away; a code lives 150 s in all.

    Two seconds at most keep the promise that codes leave within 30 s of Redis coming back, whatever the outage.
    """

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=1)
        return super().ensure_connected(conn)
