"""Hostile callers do not stop a running installation: short scenarios of `make chaos`. Two more of its scenarios are
covered by tests/test_login_drain.py and tests/test_streams_over_http.py."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import strangers
from chaos.checker import Counts
from chaos.harness import ChaosStack, running_stack
from config.variables import BASE_DIR


@pytest.fixture(scope="module")
def stack() -> Iterator[ChaosStack]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    with running_stack(folder.with_name(folder.name + "-strangers")) as stack:
        yield stack


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20261128)


def _holds(counts: Counts) -> None:
    assert counts.wrong == [], counts.proxy()
    assert counts.accepted > 0


def test_forty_held_bodies_do_not_delay_other_callers(stack, rng):
    _holds(strangers.slow_bodies(stack, rng, held=40, seconds=3))


def test_fifteen_hundred_idle_connections_do_not_delay_other_callers(stack, rng):
    _holds(strangers.idle_connections(stack, rng, connections=1500, seconds=2))


def test_bodies_that_never_come_are_given_up(stack, rng):
    _holds(strangers.bodies_end(stack, rng, held=10))


def test_eight_json_bombs_cost_little_memory_and_no_other_caller(stack, rng):
    _holds(strangers.json_bombs(stack, rng, concurrent=8))
