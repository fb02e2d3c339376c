import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clients.credentials import issue
from clients.models import Credential, Partner


class Command(BaseCommand):
    help = "Issues one more key to a partner. The secret is printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("partner", help="the partner's slug")
        parser.add_argument("--kind", choices=Credential.Kind.values, default=Credential.Kind.OPAQUE.value)
        parser.add_argument("--days", type=int, help="life in days; a JWT has 365, an opaque token no end by default")
        parser.add_argument("--json", action="store_true", help='print {"id", "partner", "kind", "secret", "expires"}')

    def handle(self, *args: Any, **options: Any) -> None:
        partner = Partner.objects.filter(slug=options["partner"]).first()
        if partner is None:
            raise CommandError(f"There is no partner {options['partner']!r}.")
        days = options["days"]
        if days is not None and not 1 <= days <= 3650:
            raise CommandError("--days must be from 1 to 3650.")
        now = timezone.now()
        credential, secret = issue(
            partner,
            options["kind"],
            at=now,
            by="issue_credential",
            expires_at=now + timedelta(days=days) if days else None,
        )
        expires = credential.expires_at.isoformat(timespec="seconds") if credential.expires_at else None
        if options["json"]:
            made = {"id": credential.pk, "partner": partner.slug, "kind": credential.kind}
            self.stdout.write(json.dumps({**made, "secret": secret, "expires": expires}))
            return
        self.stdout.write(f"id       {credential.pk}\n{credential.kind:8} {secret}\nexpires  {expires or 'never'}")
        self.stdout.write("Shown once: keep it now.")
