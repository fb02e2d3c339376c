"""`statement_timeout` is lifted for migrations only: not for what the same process does afterwards."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db


def allowed():
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return cursor.fetchone()[0]


def test_a_statement_of_a_migration_has_no_end(monkeypatch):
    seen = []

    def migrate(self, *_, **__):
        seen.append(allowed())
        return self.loader.project_state()

    monkeypatch.setattr(MigrationExecutor, "migrate", migrate)
    before = allowed()
    call_command("migrate", interactive=False, verbosity=0)
    assert (before, seen, allowed()) == ("5s", ["0"], "5s")
