"""Celery's scheduler with a connection that comes back.

Celery keeps one producer for the life of beat. With RabbitMQ its channel dies with the broker's connection, and where a
publish is not tried again (`task_publish_retry_policy`) nothing ever replaces it: beat runs on and sends nothing. The
retries would not help either: they hold up every other entry while the broker is away.
"""

from typing import Any

from celery.beat import PersistentScheduler
from celery.utils.log import get_logger

log = get_logger(__name__)


class Scheduler(PersistentScheduler):
    """Takes a new connection after a publish that failed, and looks for the broker every second."""

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        try:
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        except Exception:
            self._drop_connection()
            raise

    def _drop_connection(self) -> None:
        """What is cached is made anew when it is next needed. Nothing is said to the broker, which may not answer."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.collect()

    def _ensure_connected(self) -> Any:
        """Celery waits up to 30 s more between tries the longer the broker is away, as in `config.worker`."""

        def told(fault: BaseException, seconds: float) -> None:
            log.warning("beat has no broker", extra={"fault": repr(fault)[:200], "seconds": seconds})

        return self.connection.ensure_connection(told, interval_start=1, interval_step=0, interval_max=1)
