"""A real `pg_dump` of the test's database, restored into a PostgreSQL of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import conninfo_to_dict

from config.embedded import stack


class FreshServer(NamedTuple):
    """Another PostgreSQL: its URL and the folder of its programs."""

    url: str
    programs: Path


@contextmanager
def fresh_server(folder: Path) -> Iterator[FreshServer]:
    with stack.stack(folder, redis=False) as servers:
        yield FreshServer(servers.owner_url, servers.handles[0].server.bin)  # type: ignore[attr-defined]  # PostgreSQL has it


def run(*command: object, **more: Any) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr


def own_url() -> str:
    params = connection.get_connection_params()
    kept = {key: params[key] for key in ("host", "port", "user", "password", "dbname") if params.get(key)}
    return psycopg.conninfo.make_conninfo("", **kept)


def dump(server: FreshServer, folder: Path) -> None:
    """Dump the test's database into the folder."""
    run(server.programs / "pg_dump", "--format=custom", f"--file={folder / 'dump'}", f"--dbname={own_url()}")


def restore(server: FreshServer, folder: Path) -> None:
    """Restore the dump into the other server, which is emptied."""
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("DROP SCHEMA public CASCADE")
        session.execute("CREATE SCHEMA public")
    words = ("--no-owner", "--no-privileges", f"--dbname={server.url}", folder / "dump")
    run(server.programs / "pg_restore", *words)


@contextmanager
def connected_to(url: str) -> Iterator[None]:
    """Django's connection, to another server."""
    there = conninfo_to_dict(url)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    connection.close()
    with pytest.MonkeyPatch.context() as patch:
        for ours, theirs in names.items():
            patch.setitem(connection.settings_dict, ours, there[theirs])
        try:
            yield
        finally:
            connection.close()
