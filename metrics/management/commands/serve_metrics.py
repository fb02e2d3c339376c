"""`manage.py serve_metrics`: the scrape on a port of its own, for `python -m config.run metrics`."""

import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from waitress import serve

from metrics.endpoint import application

THREADS = 2


class Command(BaseCommand):
    help = "Serves GET /metrics on a port of its own, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        serve(application, host=options["host"], port=options["port"], threads=THREADS, ident=None)
