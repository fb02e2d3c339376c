"""The linter of migrations finds what locks or rewrites a filled table, and nothing in what is safe."""

import pytest
from django.db import connection

from testkit import migration_lint

TABLE = "CREATE TABLE a (id bigint PRIMARY KEY, name text);"


@pytest.mark.parametrize(
    ("rule", "sql"),
    [
        ("require-concurrent-index-creation", "CREATE INDEX by_name ON a (name);"),
        ("require-concurrent-index-deletion", "DROP INDEX by_name;"),
        ("adding-required-field", "ALTER TABLE a ADD COLUMN b text NOT NULL;"),
        ("changing-column-type", "ALTER TABLE a ALTER COLUMN name TYPE varchar(10);"),
        ("adding-not-nullable-field", "ALTER TABLE a ALTER COLUMN name SET NOT NULL;"),
        ("constraint-missing-not-valid", "ALTER TABLE a ADD CONSTRAINT named CHECK (name <> '');"),
        ("renaming-column", "ALTER TABLE a RENAME COLUMN name TO title;"),
        ("ban-drop-column", "ALTER TABLE a DROP COLUMN name;"),
        ("ban-concurrent-index-creation-in-transaction", "BEGIN; CREATE INDEX CONCURRENTLY c ON a (name); COMMIT;"),
        ("syntax-error", "SELECT ("),
    ],
)
def test_what_locks_or_rewrites_a_table_is_found(rule, sql):
    found = migration_lint.faults_in("app.0001_x", sql, {})
    assert any(line.startswith("app.0001_x: line 1: ") and rule in line for line in found), found
    if rule != "syntax-error":
        left = migration_lint.faults_in("app.0001_x", sql, {rule: "a reason"})
        assert not any(rule in line for line in left), "an exception of the migration is respected"


@pytest.mark.parametrize(
    "sql",
    [
        f"BEGIN; {TABLE} CREATE INDEX by_name ON a (name); COMMIT;",
        "ALTER TABLE a ADD COLUMN b text;",
        "ALTER TABLE a ADD COLUMN b text DEFAULT '' NOT NULL;",
        "CREATE INDEX CONCURRENTLY c ON a (name);",
        "ALTER TABLE a ADD CONSTRAINT named CHECK (name <> '') NOT VALID;",
    ],
)
def test_what_is_safe_passes(sql):
    assert migration_lint.faults_in("app.0001_x", sql, {}) == []


@pytest.mark.django_db(transaction=True)
def test_the_migrations_of_the_apps_are_read_as_they_run(monkeypatch):
    monkeypatch.setattr(migration_lint, "LINTED_AFTER", {"clients": "0017", "subscription": "0003"})
    read = {f"{one.app_label}.{one.name}": sql for one, sql in migration_lint.sql_of_later_ones(connection)}
    assert "clients.0017_event_test" not in read
    assert not read["clients.0019_events_by_time_brin"].startswith("BEGIN"), "it is no transaction"
    assert read["subscription.0004_forgetting"].startswith("BEGIN;")
    assert "webhooks.0001_initial" in read, "an app that is not listed is linted from its first one"
    assert not any(name.startswith("auth.") for name in read), "those of libraries are not ours"


@pytest.mark.django_db(transaction=True)
def test_a_fault_ends_the_command_with_1_and_says_where(monkeypatch, capsys):
    monkeypatch.setattr(migration_lint, "LINTED_AFTER", {**migration_lint.LINTED_AFTER, "clients": "0003"})
    assert migration_lint.main() == 1
    assert "clients.0004_indexes_for_lists: line " in capsys.readouterr().err
    monkeypatch.undo()
    assert migration_lint.main() == 0
