from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = "Clientes y empresas"

    def ready(self) -> None:
        pre_migrate.connect(_take_the_time_it_takes, sender=self)
        post_migrate.connect(_hurry_again, sender=self)


def _take_the_time_it_takes(using: str, **_: Any) -> None:
    """An index over millions of rows takes longer than a statement may (settings: `statement_timeout`). A lock is
    waited for no longer than ever: who waits for one holds up codes, and a migration can be run again."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def _hurry_again(using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET statement_timeout")
