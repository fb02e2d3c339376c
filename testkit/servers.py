"""pytest plugin that starts PostgreSQL and Valkey for the tests before Django's settings are read.

Loaded by name (`-p testkit.servers` in pytest.ini), because a conftest.py is read after the settings. With DATABASE_URL
and REDIS_URL given, the tests use those servers instead.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from config.run.data_folder import EmbeddedError
from config.run.processes import FileLock
from config.variables import BASE_DIR

_servers = pytest.StashKey[ExitStack]()

FIXED = {
    "SECRET_KEY": "a-secret-for-tests-only-of-more-than-32-characters",
    "SANDBOX": "true",
    "PUBLIC_URL": "http://localhost:8000",
}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the servers; as a wrapper it runs before pytest-django's hook, which reads the settings."""
    stopping = early_config.stash.setdefault(_servers, ExitStack())
    os.environ.update(FIXED)
    try:
        _start(stopping)
        _separate_worker(os.environ.get("PYTEST_XDIST_WORKER", ""))
    except EmbeddedError as fault:
        raise pytest.UsageError(str(fault)) from None
    return (yield)


def _start(stopping: ExitStack) -> None:
    missing = {name: not os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL")}
    if not any(missing.values()):
        return
    from config.embedded import stack

    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    folder.mkdir(parents=True, exist_ok=True)
    alone = FileLock(folder / "pytest.lock")
    stopping.callback(alone.close)
    if not alone.try_exclusive():  # two runs would drop each other's test database
        raise EmbeddedError(f"Another test run uses {folder}: wait for it, or set TEST_DATA_DIR to another folder.")
    servers = stopping.enter_context(stack.stack(folder, postgres=missing["DATABASE_URL"], redis=missing["REDIS_URL"]))
    # as the owner, who makes and drops test databases; tests/test_run_role.py covers the run role
    given = {"DATABASE_URL": servers.owner_url, "REDIS_URL": servers.redis_url}
    os.environ.update({name: url for name, url in given.items() if url})
    if servers.owner_url:
        _turn_off_durability(folder)


NOT_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


def _turn_off_durability(folder: Path) -> None:
    """Turn off durability: the data of unit tests is thrown away. What must survive a crash is tested on the servers of
    testkit.stack, which run as in production. Written into the file, as no login role may use ALTER SYSTEM."""
    config_file = folder / "pg" / "postgresql.auto.conf"
    wanted = "".join(f"{name} = 'off'\n" for name in NOT_DURABLE)
    if wanted not in config_file.read_text():
        with config_file.open("a") as file:
            file.write(wanted)
        os.kill(int((folder / "pg" / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)


def _separate_worker(worker: str) -> None:
    """Separate parallel test processes: each has its own Redis database, which every test empties, and its own folders
    for complete installations. pytest-django separates their PostgreSQL databases."""
    if worker:
        folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
        os.environ["TEST_DATA_DIR"] = str(folder.with_name(f"{folder.name}-{worker}"))
        where, _, options = os.environ["REDIS_URL"].partition("?")
        kept = [each for each in options.split("&") if each and not each.startswith("db=")]
        number = int(worker.removeprefix("gw")) + 1
        os.environ["REDIS_URL"] = f"{where}?{'&'.join([*kept, f'db={number}'])}"


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash.setdefault(_servers, ExitStack()).close()
