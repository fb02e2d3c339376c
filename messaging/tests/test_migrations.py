"""Migrations of messaging that rename in Django's state only."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.mark.django_db
def test_the_name_of_a_field_changes_without_a_statement():
    """Processes of the version before read and write the column under its old name (docs/adr/0074)."""
    said = StringIO()
    call_command("sqlmigrate", "messaging", "0012", stdout=said)
    statements = [line for line in said.getvalue().splitlines() if line and not line.startswith("--")]
    assert set(statements) <= {"BEGIN;", "COMMIT;"}
