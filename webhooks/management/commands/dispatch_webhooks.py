import signal
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from clients import heartbeat
from webhooks.dispatcher import Dispatcher


class Command(BaseCommand):
    help = "Sends partners' events to their webhooks, until SIGTERM or Ctrl-C. Several may run."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = Event()
        dispatcher = Dispatcher(stopping)

        def stop(*_: object) -> None:
            stopping.set()
            dispatcher.wake()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        heartbeat.start(settings.HEALTH_FOLDER, "webhooks", "loop")
        dispatcher.run()
