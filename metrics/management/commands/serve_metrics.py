"""`manage.py serve_metrics`: the scrape on a port of its own and the alarms, for `python -m config.run metrics`."""

import logging
import signal
import sys
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone
from waitress import serve

from clients import heartbeat
from metrics import alarm_webhook
from metrics.endpoint import application

log = logging.getLogger(__name__)

THREADS = 2
EVERY_SECONDS = 15.0


def evaluate_until(stopping: Event) -> None:
    """Evaluate the alarms every 15 s, where they have an address. It does not end with a fault: the next round tries
    again. Each round is a sign of health (`config.run health metrics`)."""
    while True:
        heartbeat.did("loop")
        try:
            if settings.ALARM_URL:
                close_old_connections()
                alarm_webhook.evaluate(at=timezone.now())
        except Exception:
            log.exception("alarms could not be evaluated")
        heartbeat.did("loop")
        if stopping.wait(EVERY_SECONDS):
            return


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
