from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from staff.second_factor import reset


class Command(BaseCommand):
    help = (
        "Takes a member of staff's second factor away, for when the only administrator lost their phone. The member"
        " enrols again at the next login, and every session that the old one opened ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name that they log in with")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"Nobody is called {options['name']!r}.")
        if not reset(user, by="reset_second_factor", reason=options["reason"], at=timezone.now()):
            raise CommandError(f"{user.get_username()} has no second factor.")
        self.stdout.write(f"Reset: {user.get_username()}")
