from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clients.credentials import revoke
from clients.models import Credential


class Command(BaseCommand):
    help = (
        "Revokes a key, by its id or by how it begins (as the admin lists it). It is refused from the next request on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("credential", help="id, or the first characters of the token or of the JWT's jti")
        parser.add_argument("--partner", help="the partner's slug, where the beginning alone is not unique")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        credential = self._find(options["credential"], options["partner"])
        if not revoke(credential, at=timezone.now(), by="revoke_credential", reason=options["reason"]):
            raise CommandError(f"{credential} was revoked before.")
        self.stdout.write(f"Revoked: {credential}")

    def _find(self, wanted: str, partner: str | None) -> Credential:
        keys = Credential.objects.select_related("partner")
        if partner:
            keys = keys.filter(partner__slug=partner)
        found = list(keys.filter(prefix=wanted)[:2])
        if not found and wanted.isascii() and wanted.isdigit() and len(wanted) <= 18:
            found = list(keys.filter(pk=int(wanted)))
        if len(found) != 1:
            raise CommandError(f"{'No key' if not found else 'More than one key'} matches {wanted!r}.")
        return found[0]
