"""Template of the test databases: a database with all migrations applied, which PostgreSQL copies for each process.

To apply the migrations takes 10 s of a processor. The template stays on the server until a migration changes.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.backends.base.creation import BaseDatabaseCreation as DatabaseCreation

PREFIX = "aval_template_"
LOCK = 5_026_001
"""Number of the advisory lock under which the template is made; the other processes wait."""


@contextmanager
def without_time_limits() -> Iterator[None]:
    """Lift statement_timeout for CREATE and DROP DATABASE: on a busy machine a checkpoint takes longer than 5 s."""
    original = DatabaseCreation._nodb_cursor  # type: ignore[attr-defined]  # the stubs lack it

    @contextmanager
    def unlimited(creation: DatabaseCreation) -> Iterator[Any]:
        with original(creation) as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = 0")
            yield cursor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseCreation, "_nodb_cursor", unlimited)
        yield


def migrated_template() -> str:
    """Name of the template, which is made unless it is there. Templates of other migrations are dropped."""
    name = PREFIX + _fingerprint()
    creation: Any = connection.creation  # the stubs lack _nodb_cursor
    with creation._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])  # to the end of the connection
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        there = {each for (each,) in cursor.fetchall()}
        if name not in there:
            for each in there:
                cursor.execute(f'DROP DATABASE "{each}" WITH (FORCE)')
            _migrate(f"{name}_unfinished")
            cursor.execute(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"')
    return name


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for app in apps.get_app_configs():
        for path in sorted(Path(app.path, "migrations").glob("*.py")):
            digest.update(f"{app.label} {path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _migrate(database: str) -> None:
    """Make this database as Django makes a test database, and leave the connection's settings as they were."""
    given = connection.settings_dict["NAME"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict["TEST"], "NAME", database)
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    connection.close()
    connection.settings_dict["NAME"] = settings.DATABASES[connection.alias]["NAME"] = given
