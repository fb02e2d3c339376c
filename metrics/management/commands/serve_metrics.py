"""`manage.py serve_metrics`: the scrape on a port of its own and the alarms, for `python -m config.run metrics`."""

import logging
import signal
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone
from waitress import serve

from clients import heartbeat
from clients.probes import Probe, select_one
from metrics import alarm_webhook
from metrics.endpoint import application

log = logging.getLogger(__name__)

THREADS = 2
EVERY_SECONDS = 5.0
"""An alarm that must last 15 s is told 20 s after its condition began to hold, at most."""


def evaluate_until(stopping: Event) -> None:
    """Evaluate the alarms every 5 s, where they have an address. It does not end with a fault: the next round tries
    again. Each round is a sign of health (`config.run health metrics`)."""
    evaluator = Evaluator()
    while True:
        if not evaluator.is_busy:
            heartbeat.did("loop")
        try:
            if settings.ALARM_URL:
                evaluator.step()
        except Exception:
            log.exception("alarms could not be evaluated")
        if stopping.wait(EVERY_SECONDS):
            return


class Evaluator:
    """Evaluates in a thread of its own, since a database that hangs holds it: a frozen server sends no error.

    While the database does not answer the probe, `step` tells so from the thread that calls it.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="alarms")
        self._database = Probe(select_one, "database")
        self._pending: Future[None] | None = None

    @property
    def is_busy(self) -> bool:
        return self._pending is not None and not self._pending.done()

    def step(self) -> None:
        """Begin an evaluation, unless one is under way. Raises what the last one raised."""
        if not self._database.answers():
            alarm_webhook.tell_without_database(at=timezone.now())
        elif not self.is_busy:
            before, self._pending = self._pending, self._thread.submit(_evaluate)
            if before is not None:
                before.result()


def _evaluate() -> None:
    close_old_connections()
    alarm_webhook.evaluate(at=timezone.now())


class Command(BaseCommand):
    help = "Serves GET /metrics on a port of its own and evaluates the alarms for ALARM_URL, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = Event()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        heartbeat.start(settings.HEALTH_FOLDER, "metrics", "loop")
        Thread(target=evaluate_until, args=(stopping,), name="alarms", daemon=True).start()
        if options["port"]:
            serve(application, host=options["host"], port=options["port"], threads=THREADS, ident=None)
        else:
            stopping.wait()
