"""Fixtures of the integration tests: one complete installation, started with the first test and shared by all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.variables import BASE_DIR
from testkit.stack import Stack, running

LONGEST = (
    *("test_accessibility.py", "test_two_database_hosts.py", "test_key_change.py", "test_upgrade.py"),
    *("test_schemathesis.py", "test_faults.py", "test_strangers.py", "test_point_in_time.py", "test_after_restore.py"),
)
"""Files that take half a minute or more. They begin first, so that at the end no process waits for another one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def _running() -> Iterator[Stack]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    # the secret of the test process, so that a test can open a seal
    with running(folder.with_name(folder.name + "-stack"), SECRET_KEY=os.environ["SECRET_KEY"]) as stack:
        yield stack


@pytest.fixture
def stack(_running: Stack) -> Iterator[Stack]:
    """The installation, whole and idle at the start of each test."""
    yield _running
    _running.heal()
