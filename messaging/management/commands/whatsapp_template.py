"""Command that creates or checks the WhatsApp template for codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.gateways import whatsapp_template


class Command(BaseCommand):
    help = (
        "Creates at Meta the authentication template that WHATSAPP_URL names, with a time to live within a code's "
        "lifetime; with --check it only checks the template."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("business_account", help="id of the WhatsApp Business account, in digits")
        parser.add_argument("--check", action="store_true", help="change nothing; fail unless it is fit for codes")

    def handle(self, *args: Any, **options: Any) -> None:
        account = options["business_account"]
        if not account.isascii() or not account.isdigit():
            raise CommandError("The id of the WhatsApp Business account is a number.")
        try:
            if not options["check"]:
                self.stdout.write(f"Meta took the template; its status is {whatsapp_template.create(account)}.")
                return
            found = whatsapp_template.find(account)
        except whatsapp_template.TemplateError as error:
            raise CommandError(str(error)) from None
        if found is None:
            raise CommandError("Meta has no template of that name and language: run this command without --check.")
        if found.outlives_a_code:
            kept = "30 days" if found.ttl_seconds is None else f"{found.ttl_seconds} s"
            raise CommandError(f"The template's messages live {kept}, longer than a code (150 s).")
        if found.status != "APPROVED":
            raise CommandError(f"The template is {found.status}.")
        self.stdout.write(f"{found.name} ({found.language}) is approved; its messages live {found.ttl_seconds} s.")
