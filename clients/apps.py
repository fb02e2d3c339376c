from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = "Clientes y empresas"

    def ready(self) -> None:
        pre_migrate.connect(_lift_statement_timeout, sender=self)
        post_migrate.connect(_restore_statement_timeout, sender=self)


def _lift_statement_timeout(using: str, **_: Any) -> None:
    """Lift `statement_timeout` for migrations: an index over millions of rows takes longer. `lock_timeout` stays,
    because a migration that waits for a lock holds up codes and can be run again."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")


def _restore_statement_timeout(using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET statement_timeout")
