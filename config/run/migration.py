"""Migration of the database, as the owner of the tables: by one process at a time, and again where a lock is held.

A migration waits a short time for its locks (`lock_timeout`), since everybody who comes after it waits as well. Where
somebody else holds one, all of it is undone, and it is tried again after a pause. Whoever is in the way is named.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config import roles
from config.run.supervisor import print_line
from config.variables import StartError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations import Migration

OLDEST_POSTGRESQL = 15
"""Of the constraints, one is UNIQUE NULLS NOT DISTINCT, which came with it."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0)
"""Seconds between the tries of a migration that does not get its locks."""
ANOTHER_MIGRATE_SECONDS = 1800.0
"""Limit for another process that migrates."""
LOOK_SECONDS = 0.5
"""Seconds between two looks at who is in the way."""
TOLD_AFTER, TOLD_EVERY = 10.0, 60.0
"""Seconds of waiting after which it is said who is in the way, and between that and the next time."""

LOCK_FAULTS = frozenset(("55P03", "40P01"))
"""SQLSTATE: a lock that was not got in time, and a deadlock."""

ONE_AT_A_TIME = "SELECT pg_try_advisory_lock(hashtextextended('aval:migrate', 0))"
"""Tried again and again, not waited for: an index that another `migrate` makes CONCURRENTLY waits for every statement
that runs, so it would wait for this one."""
BLOCKERS = """
SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), coalesce(state, ''),
       extract(epoch FROM clock_timestamp() - xact_start)::int
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids(%s)) ORDER BY xact_start NULLS LAST
"""
"""Sessions that a backend waits for. What they run is left out: it can hold personal data."""


def migrate(owner_url: str) -> None:
    """Migrate the database as the owner of the tables, then grant the run role its privileges. Raises StartError.

    The plan is read first: that takes a tenth of the time of a `migrate` without anything to do.
    """
    from django.db import OperationalError, connection

    name = "DATABASE_URL" if owner_url == os.environ["DATABASE_URL"] else "MIGRATE_DATABASE_URL"
    try:
        with roles.connected_as(owner_url):
            _bring_up_to_date(connection)
            roles.grant(os.environ["DATABASE_URL"])
        name = "DATABASE_URL"
        connection.ensure_connection()
    except OperationalError as fault:
        raise StartError(f"PostgreSQL does not answer at {name}: {first_line(fault)}") from None
    finally:
        connection.close()


def pending(connection: "BaseDatabaseWrapper") -> "list[Migration]":
    """Migrations that the database has not seen, in their order."""
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    return [migration for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]


def check_version(version: int) -> None:
    """`version`: as `server_version_num` of PostgreSQL. Raises StartError."""
    if version < OLDEST_POSTGRESQL * 10_000:
        raise StartError(
            f"PostgreSQL {version // 10_000} is too old: Aval needs {OLDEST_POSTGRESQL} or newer (docs/operator.md)."
        )


def _bring_up_to_date(connection: "BaseDatabaseWrapper") -> None:
    from django.core.management import call_command

    connection.ensure_connection()
    check_version(connection.connection.info.server_version)

    def again() -> None:
        _wait_for_turn(connection)  # also after the connection was lost, and its lock with it
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")  # a migration that broke off may have left its own
        if pending(connection):
            call_command("migrate", interactive=False, verbosity=0)

    plan = pending(connection)
    if plan:
        print_line(f"aval: bringing the database up to date ({len(plan)} migrations).")
        with_patience(again, connection)


def with_patience(step: Callable[[], None], connection: "BaseDatabaseWrapper") -> None:
    """Run a step that migrates, and run it again where a lock is held by others.

    Raises StartError after the last try, with the sessions that are in the way.
    """
    from django.db import OperationalError

    for pause in (*PAUSES, None):
        with watching(connection) as watch:
            try:
                return step()
            except OperationalError as fault:
                if getattr(fault.__cause__, "sqlstate", None) not in LOCK_FAULTS:
                    raise
        name = _first_pending(connection)
        if pause is None:
            raise StartError(
                f"{name} needs a lock that others hold: {watch.seen or 'nobody who could be named'}. What was done "
                "before it stays. Migrate again when they have ended, or end one: SELECT pg_terminate_backend(pid)."
            )
        held = f"{name} waits for a lock of {watch.seen}" if watch.seen else f"{name} did not get a lock"
        print_line(f"aval: {held}. Trying again in {pause:.0f} s.")
        time.sleep(pause)
    return None


def _first_pending(connection: "BaseDatabaseWrapper") -> str:
    plan = pending(connection)
    return f"Migration {plan[0].app_label}.{plan[0].name}" if plan else "The migration"


def _wait_for_turn(connection: "BaseDatabaseWrapper") -> None:
    """Raises StartError where another `migrate` does not end."""
    deadline = time.monotonic() + ANOTHER_MIGRATE_SECONDS
    said = False
    with connection.cursor() as cursor:
        while True:
            cursor.execute(ONE_AT_A_TIME)
            if cursor.fetchone()[0]:
                return
            if time.monotonic() > deadline:
                raise StartError("Another process is migrating this database and does not end.")
            if not said:
                print_line("aval: another process is migrating this database; waiting for it.")
                said = True
            time.sleep(LOOK_SECONDS)


class Watch:
    """The sessions that a backend waited for when it was last looked at, as text; empty: none were seen."""

    def __init__(self) -> None:
        self.seen = ""
        self.over = threading.Event()


@contextmanager
def watching(connection: "BaseDatabaseWrapper") -> Iterator[Watch]:
    """Look at who keeps this connection waiting, from a thread with a connection of its own."""
    connection.ensure_connection()
    watch = Watch()
    pid = connection.connection.info.backend_pid
    thread = threading.Thread(target=_look, args=(watch, connection, pid), name="who blocks", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join(10)


def _look(watch: Watch, migrating: "BaseDatabaseWrapper", pid: int) -> None:
    from django.db import DatabaseError

    own = migrating.copy()
    waiting_since: float | None = None
    next_word = 0.0
    try:
        while not watch.over.wait(LOOK_SECONDS):
            with own.cursor() as cursor:
                cursor.execute(BLOCKERS, [pid])
                found = [_session(*row) for row in cursor.fetchall()]
            if not found:
                waiting_since = None
                continue
            watch.seen = ", ".join(found)
            now = time.monotonic()
            if waiting_since is None:
                waiting_since, next_word = now, now + TOLD_AFTER
            if now >= next_word:
                print_line(f"aval: the migration waits for {watch.seen}.")
                next_word = now + TOLD_EVERY
    except DatabaseError as fault:  # the migration says itself what is wrong with the database
        print_line(f"aval: who keeps the migration waiting could not be asked: {first_line(fault)}")
    finally:
        own.close()


def _session(pid: Any, role: str, program: str, state: str, seconds: int | None) -> str:
    """A session in words. State and age are hidden from a role without pg_read_all_stats."""
    words = (f"role {role}" if role else "", program, state, f"for {seconds} s" if seconds is not None else "")
    return f"pid {pid} ({', '.join(word for word in words if word)})"


def first_line(fault: Exception) -> str:
    """The first line of an exception's text, for a sentence."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
