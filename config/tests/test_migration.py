"""What `migrate` does where somebody holds a lock, or migrates at the same time."""

import threading
from contextlib import contextmanager

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from config.run import migration
from config.variables import StartError

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = "clients_eventepoch"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(migration, "LOOK_SECONDS", 0.05)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '700ms'")
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


@contextmanager
def another_session():
    """Session of somebody else; yields its connection."""
    given = connection.get_connection_params()
    where = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}
    with psycopg.connect(**where, application_name="report") as other:
        yield other


def reads_a_report(other):
    other.execute(f"SELECT count(*) FROM {TABLE}")


class Step:
    """A migration that needs the table for itself."""

    def __init__(self):
        self.tries = 0

    def __call__(self):
        self.tries += 1
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")


def test_a_migration_is_tried_again_until_the_lock_is_free(monkeypatch, capfd):
    step, pauses = Step(), []
    with another_session() as other:
        reads_a_report(other)

        def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 2:
                other.rollback()

        monkeypatch.setattr(migration.time, "sleep", pause)
        migration.with_patience(step, connection)
        pid = other.info.backend_pid
    assert (step.tries, pauses) == (3, list(migration.PAUSES[:2]))
    said = capfd.readouterr().out
    assert said.count(f"waits for a lock of pid {pid} (role ") == 2
    assert "report, idle in transaction, for " in said
    assert "count(*)" not in said, "what others run can hold personal data"


def test_after_the_last_try_the_sentence_says_who_is_in_the_way_and_what_to_do(monkeypatch):
    step = Step()
    monkeypatch.setattr(migration, "PAUSES", (0.0,))
    with another_session() as other:
        reads_a_report(other)
        with pytest.raises(StartError) as caught:
            migration.with_patience(step, connection)
        pid = other.info.backend_pid
    assert step.tries == 2
    assert f"pid {pid} (" in str(caught.value)
    assert "pg_terminate_backend" in str(caught.value)
    assert "does not answer" not in str(caught.value)


def test_another_fault_is_not_tried_again():
    def step():
        raise OperationalError("the server closed the connection")

    with pytest.raises(OperationalError, match="closed the connection"):
        migration.with_patience(step, connection)


def test_who_is_in_the_way_is_said_while_a_long_wait_lasts(monkeypatch, capfd):
    monkeypatch.setattr(migration, "TOLD_AFTER", 0.0)
    monkeypatch.setattr(migration, "PAUSES", ())
    with another_session() as other:
        reads_a_report(other)
        with pytest.raises(StartError):
            migration.with_patience(Step(), connection)
    assert capfd.readouterr().out.count("the migration waits for pid ") == 1


def test_a_second_migrate_waits_for_the_first(capfd):
    with another_session() as other:
        other.execute(migration.ONE_AT_A_TIME)
        release = threading.Timer(0.5, lambda: other.execute("SELECT pg_advisory_unlock_all()"))
        release.start()
        migration._wait_for_turn(connection)
        release.join()
    assert "another process is migrating" in capfd.readouterr().out
    connection.close()  # and with it the lock


def test_a_second_migrate_gives_up_in_the_end(monkeypatch):
    monkeypatch.setattr(migration, "ANOTHER_MIGRATE_SECONDS", 0.2)
    with another_session() as other:
        other.execute(migration.ONE_AT_A_TIME)
        with pytest.raises(StartError, match="Another process is migrating"):
            migration._wait_for_turn(connection)


@pytest.mark.parametrize("version", [140_020, 130_000, 90_624])
def test_an_old_server_is_refused_in_one_sentence(version):
    with pytest.raises(StartError, match=rf"^PostgreSQL {version // 10_000} is too old: Aval needs 15 or newer"):
        migration.check_version(version)


def test_each_server_from_15_on_is_good():
    for version in (150_000, 150_018, 180_006, 190_000):
        migration.check_version(version)


def test_migrate_looks_at_the_version(monkeypatch):
    monkeypatch.setattr(migration, "OLDEST_POSTGRESQL", 99)
    with pytest.raises(StartError, match="is too old: Aval needs 99"):
        migration._bring_up_to_date(connection)
