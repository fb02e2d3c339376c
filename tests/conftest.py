"""Fixtures of the integration tests: one complete installation, started with the first test and shared by all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.variables import BASE_DIR
from testkit.stack import Stack, running


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
