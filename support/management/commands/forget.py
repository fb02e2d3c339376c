from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from support.privacy import retention


class Command(BaseCommand):
    help = (
        "Does away with what has been kept long enough (KEEP_..._DAYS), as the nightly job does; again goes on where"
        " it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="change nothing; say how many rows of what would go")
        parser.add_argument("--seconds", type=float, default=3600.0, help="stop after so long (3600)")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["seconds"] <= 86_400:
            raise CommandError("--seconds must be more than 0 and at most 86400.")
        at = timezone.now()
        found = (
            retention.count_expired(at=at) if options["dry_run"] else retention.run(at=at, seconds=options["seconds"])
        )
        for kind in retention.RULES:
            self.stdout.write(f"{kind.name:<22}{found.get(kind.name, 0):>12}")
        self.stdout.write("Nothing was changed." if options["dry_run"] else "Done.")
