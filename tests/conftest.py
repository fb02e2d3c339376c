"""The stack of the tests that need all of Aval's processes. It starts with the first of them and serves them all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.run.environment import BASE_DIR
from testkit.stack import Stack, running


@pytest.fixture(scope="session")
def _running() -> Iterator[Stack]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    # the same secret as the unit tests' own process, so that a test can look under a seal
    with running(folder.with_name(folder.name + "-stack"), SECRET_KEY=os.environ["SECRET_KEY"]) as stack:
        yield stack


@pytest.fixture
def stack(_running: Stack) -> Iterator[Stack]:
    """Whole and idle at the beginning of each test, whatever the one before did to it."""
    yield _running
    _running.heal()
