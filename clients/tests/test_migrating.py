"""The limits of a statement and of an idle transaction are lifted for migrations only: not for what the same process
does afterwards. That of a lock stays."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db

LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")


def limits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in LIMITS))
        return cursor.fetchone()


def test_a_migration_has_time_but_waits_for_no_lock(monkeypatch):
    seen = []

    def migrate(self, *_, **__):
        seen.append(limits())
        return self.loader.project_state()

    monkeypatch.setattr(MigrationExecutor, "migrate", migrate)
    before = limits()
    call_command("migrate", interactive=False, verbosity=0)
    assert (before, seen, limits()) == (("5s", "10s", "2s"), [("0", "0", "2s")], ("5s", "10s", "2s"))
