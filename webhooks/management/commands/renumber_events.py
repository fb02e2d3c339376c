from typing import Any

from django.core.management.base import BaseCommand

from clients.events.restore import is_ahead
from webhooks.restore import renumber


class Command(BaseCommand):
    help = (
        "After a restore: gives the events of partners places of this server and begins a new epoch, so that partners "
        "read them from the first that is kept (their cursors are answered 410); webhooks go on where they were. Does "
        "nothing where it is not needed."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--force", action="store_true", help="also where no event is ahead of this server")

    def handle(self, *args: Any, **options: Any) -> None:
        if not is_ahead() and not options["force"]:
            self.stdout.write("No event is ahead of this server: nothing to do.")
            return
        done = renumber()
        self.stdout.write(f"{done.events} events have new places, in the epoch {done.epoch}.")
