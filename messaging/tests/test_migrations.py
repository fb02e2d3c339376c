"""Migrations of messaging that run no statement, or none that anybody waits for."""

import re
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from tests.plans import drop_other_indexes

OF_NEW_PAGES = re.compile(r"ALTER INDEX \w+ (SET \(fillfactor = \d+\)|RESET \(fillfactor\));")
"""A change of an index for the pages to come, for which nobody waits."""


def statements_of(app, number, **options):
    said = StringIO()
    call_command("sqlmigrate", app, number, stdout=said, **options)
    return [line for line in said.getvalue().splitlines() if line and not line.startswith("--")]


@pytest.mark.django_db
def test_the_name_of_a_field_changes_without_a_statement():
    """Processes of the version before read and write the column under its old name (docs/adr/0074)."""
    assert set(statements_of("messaging", "0012")) <= {"BEGIN;", "COMMIT;"}


@pytest.mark.django_db
@pytest.mark.parametrize(("app", "number"), [("messaging", "0014"), ("tokens", "0010")])
def test_new_ids_need_no_statement(app, number):
    assert set(statements_of(app, number)) <= {"BEGIN;", "COMMIT;"}


@pytest.mark.django_db(transaction=True)  # Django refuses CONCURRENTLY within a transaction
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("app", "number"),
    [
        *(("messaging", "0013"), ("clients", "0010"), ("clients", "0014")),
        *(("clients", "0021"), ("external_api", "0004"), ("messaging", "0020"), ("tokens", "0013")),
    ],
)
def test_indexes_change_while_everybody_works(app, number, backwards):
    first, *between, last = statements_of(app, number, backwards=backwards)
    assert first == "SET lock_timeout = '15min';"
    assert between
    changes = [each for each in between if not OF_NEW_PAGES.fullmatch(each)]
    assert [each for each in changes if " INDEX CONCURRENTLY " not in each] == []
    assert last == "RESET lock_timeout;"


@pytest.mark.django_db
@pytest.mark.parametrize("values", ["%s", "%s, %s"])
def test_a_campaigns_messages_are_found_by_the_index_of_their_constraint(values):
    with connection.cursor() as cursor:
        drop_other_indexes(cursor, "one_message_per_campaign_and_client")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        numbers = range(values.count("%s"))
        cursor.execute(f"EXPLAIN SELECT state FROM messaging_message WHERE campaign_id IN ({values})", list(numbers))
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "one_message_per_campaign_and_client" in plan
