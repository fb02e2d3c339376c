"""Celery beat scheduler that reconnects to its broker.

Celery's own keeps one producer for the whole run. With RabbitMQ its channel is closed with the broker's connection, and
without publish retries (`task_publish_retry_policy`) nothing replaces it: beat runs on and sends nothing. Retries would
not help either: they block every other entry while the broker is away.
"""

from typing import Any

from celery.beat import PersistentScheduler
from celery.utils.log import get_logger

from clients import heartbeat

log = get_logger(__name__)


class Scheduler(PersistentScheduler):
    """Scheduler that opens a new connection after a failed publish and tries the broker every second."""

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        try:
            result = super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except Exception:
            self._drop_connection()
            raise
        heartbeat.did("publish")
        return result

    def _drop_connection(self) -> None:
        """Forget the cached connection and producer. Nothing is sent to the broker, which may not answer."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect()

    def _ensure_connected(self) -> Any:
        """Retry every second. Celery would wait ever longer, up to 30 s (see `config.worker`)."""

        def log_wait(fault: BaseException, seconds: float) -> None:
            log.warning("beat has no broker", extra={"fault": repr(fault)[:200], "seconds": seconds})

        return self.connection.ensure_connection(log_wait, interval_start=1, interval_step=0, interval_max=1)
