"""Celery's consumer, which outlives its broker: shorter pauses between tries, and no end over kombu's cleaning up."""

import logging
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

log = logging.getLogger(__name__)


class Consumer(CeleryConsumer):
    """Celery waits up to 30 s more between tries the longer a broker is away; a code lives 150 s in all.

    A second keeps the promise that codes leave within 10 s of the broker's return, whatever the outage.

    What a lost connection leaves behind has neither a client nor a transport: who gives its messages back
    (`restore_unacked_once`) or acknowledges them later meets an AttributeError, which Celery does not take for a lost
    connection and over which the worker would end.
    """

    connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (*self.connection_errors, AttributeError)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=1)
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            log.warning("what was left of a lost connection could not be cleaned up", exc_info=True)
