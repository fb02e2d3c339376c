import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from clients.models import Contract
from clients.partners import create_partner


class Command(BaseCommand):
    help = "Creates a partner with an opaque token and a JWT. The secrets are printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--slug", default="", help="short name in URLs and logs; made from the name by default")
        parser.add_argument(
            "--contract", action="append", choices=Contract.values, help="may be given several times; all by default"
        )
        parser.add_argument("--brand", default="", help="name in codes and as sender of mails; BRAND by default")
        parser.add_argument("--json", action="store_true", help='print {"partner", "token", "jwt"} and nothing else')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            new = create_partner(
                options["name"],
                slug=options["slug"],
                contracts=options["contract"],
                brand=options["brand"],
                at=timezone.now(),
                by="create_partner",
            )
        except ValueError as fault:
            raise CommandError(str(fault)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"partner": new.partner.slug, "token": new.token, "jwt": new.jwt}))
            return
        self.stdout.write(f"partner  {new.partner.slug}")
        self.stdout.write(f"token    {new.token}")
        self.stdout.write(f"jwt      {new.jwt}")
        self.stdout.write("Shown once: keep them now.")
