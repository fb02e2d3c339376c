from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive

from support.restore import journal


class Command(BaseCommand):
    help = (
        "Prints the erasures since a moment, one a line, without personal data: the journal that"
        " `manage.py after_restore --erasures FILE` repeats. Keep it apart from the database and from its backups."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", required=True, help="as 2026-12-01T10:00:00-05:00")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            since = parse_datetime(options["since"])
        except ValueError:
            since = None
        if since is None or is_naive(since):
            raise CommandError("--since must be a moment with its offset, as 2026-12-01T10:00:00-05:00.")
        for each in journal.erasures(since=since):
            self.stdout.write(each.as_line())
