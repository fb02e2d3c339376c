from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ClientsConfig(AppConfig):
    name = "clients"
    verbose_name = "Clientes y empresas"

    def ready(self) -> None:
        pre_migrate.connect(_lift_time_limits, sender=self)
        post_migrate.connect(_restore_time_limits, sender=self)


def _lift_time_limits(using: str, **_: Any) -> None:
    """Lift the limits of a statement and of an idle transaction for migrations: an index over millions of rows takes
    longer, and a busy machine thinks for seconds between two statements. `lock_timeout` stays, because a migration that
    waits for a lock holds up codes and can be run again."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET idle_in_transaction_session_timeout = 0")


def _restore_time_limits(using: str, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("RESET statement_timeout")
        cursor.execute("RESET idle_in_transaction_session_timeout")
