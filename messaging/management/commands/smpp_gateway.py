import signal
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from clients import heartbeat
from messaging.smpp import process


class Command(BaseCommand):
    help = "Keeps the binds of all smpp:// gateways of SMS_URL and sends by them, until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        gateways = process.gateways()
        if not gateways:
            raise CommandError("SMS_URL names no smpp:// gateway: there is no SMSC to connect to.")
        stopping = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        heartbeat.start(settings.HEALTH_FOLDER, "smpp", *(gateway.name for gateway in gateways))
        if not process.run(gateways, stopping):
            raise CommandError(
                "A bind failed or did not end in time (see the log); its outstanding messages will be UNKNOWN."
            )
