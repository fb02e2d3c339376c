import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from clients.models import Credential
from support.keys import resealing, unsealed
from support.keys.resealing import Found
from support.keys.unsealed import LiveCodes


class Command(BaseCommand):
    help = (
        "After a change of SECRET_KEY: seals what is kept sealed anew with the first key, and says what still needs a"
        " key of SECRET_KEY_FALLBACKS. Exit code 1 while anything does, 0 once the former key may go. May be stopped"
        " and run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            help="when the last process was restarted with the new key first, as 2026-12-01T10:00:00-05:00; without it"
            " the start of this command. Codes asked for since then are of the new key.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        since = _moment(options["since"], default=at)
        found = resealing.reseal(at=at)
        codes = unsealed.live_codes(since=since, at=timezone.now())
        jwts, rows = unsealed.live_jwts(at=at)
        found += [codes.found, jwts]
        self._table(found)
        self._codes(codes, since)
        self._jwts(rows)
        older = unsealed.users_with_older_backup_codes(since=since) if settings.SECRET_KEY_FALLBACKS else 0
        if older:
            self.stdout.write(f"Backup codes of {older} users were made before {since.isoformat()}: see docs/keys.md.")
        if any(each.former for each in found):
            self.stdout.write("A former key is still needed: keep it in SECRET_KEY_FALLBACKS.")
            sys.exit(1)
        self.stdout.write("No former key is needed any more.")

    def _table(self, found: Sequence[Found]) -> None:
        self.stdout.write(f"{'':<24}{'sealed anew':>14}{'of a former key':>18}{'of no key':>12}")
        for each in found:
            self.stdout.write(f"{each.name:<24}{each.anew:>14}{each.former:>18}{each.lost:>12}")

    def _codes(self, codes: LiveCodes, since: datetime) -> None:
        if codes.last_ends_at is not None:
            self.stdout.write(
                f"The last of the live codes ends at {codes.last_ends_at.isoformat()}; run this again then, with"
                f" --since={since.isoformat()}"
            )

    def _jwts(self, rows: Sequence[Credential]) -> None:
        for row in rows:
            key = f"key {row.kid}" if row.kid else "key not known: not used since it is noted"
            expires = row.expires_at.date() if row.expires_at else ""
            self.stdout.write(f"  JWT {row.pk} {row.prefix}… of {row.partner.slug}, until {expires}, {key}")


def _moment(given: str | None, *, default: datetime) -> datetime:
    if given is None:
        return default
    try:
        found = parse_datetime(given)
    except ValueError:
        found = None
    if found is None or timezone.is_naive(found) or found > default:
        raise CommandError("--since must be a moment in the past with its offset, as 2026-12-01T10:00:00-05:00.")
    return found
