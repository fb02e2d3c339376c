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
    """Lift `statement_timeout` for migrations: an index over millions of rows takes longer. `lock_timeout` stays,
    because a migration that waits for a lock holds up codes and can be run again."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def _hurry_again(using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET statement_timeout")
