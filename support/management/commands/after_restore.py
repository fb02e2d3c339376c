import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from support.restore import after_restore, journal
from support.restore.journal import Erased


class Command(BaseCommand):
    help = (
        "After a backup was restored and before Aval is started on it: pauses campaigns, sets aside mails that may"
        " have left after the backup, renumbers events, and erases again who was erased since. May be run again."
        " See docs/backup.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--erasures", action="append", default=[], help="a file of `manage.py erasures`; repeatable"
        )
        parser.add_argument(
            "--force", action="store_true", help="also while Aval is connected, and a second time for the same restore"
        )
        parser.add_argument("--by", default="after_restore", help="who does it, for the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        erased = [entry for name in options["erasures"] for entry in _journal(name)]
        try:
            done = after_restore.run(erased, by=options["by"], at=timezone.now(), force=options["force"])
        except after_restore.StillRunning as running:
            for each in running.connected:
                self.stderr.write(f"  process {each.pid} of {each.user} from {each.address} since {each.since}")
            raise CommandError("Aval is connected to this database: stop all its processes first.") from None
        if not done.is_first:
            self.stdout.write("This restore was seen to before; only erasures were repeated.")
        for what, count in done.counts:
            self.stdout.write(f"{what:<48}{count:>10}")
        if not options["erasures"]:
            self.stdout.write("No --erasures was given: who was erased after the backup is back (docs/backup.md).")
        if done.failed:
            sys.exit(1)


def _journal(name: str) -> list[Erased]:
    try:
        with Path(name).open(encoding="utf-8") as file:
            return journal.parse(file)
    except (OSError, UnicodeDecodeError) as fault:
        raise CommandError(f"{name} cannot be read: {fault}.") from fault
    except journal.NotAJournal as fault:
        raise CommandError(f"{name}: {fault}.") from fault
