"""Nobody outside can stop a running installation: the short part of `make chaos`, which has two scenarios more. Those
are held by tests/test_login_drain.py and tests/test_streams_over_http.py here."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import strangers
from chaos.checker import Counts
from chaos.standing import Field, field_of_fire
from config.run.environment import BASE_DIR


@pytest.fixture(scope="module")
def field() -> Iterator[Field]:
    folder = Path(os.environ.get("TEST_DATA_DIR") or BASE_DIR / "var" / "test")
    with field_of_fire(folder.with_name(folder.name + "-strangers")) as field:
        yield field


@pytest.fixture
def dice() -> random.Random:
    return random.Random(20261128)


def _holds(counts: Counts) -> None:
    assert counts.wrong == [], counts.line()
    assert counts.accepted > 0


def test_forty_held_bodies_keep_nobody_from_being_served(field, dice):
    _holds(strangers.slow_bodies(field, dice, held=40, seconds=3))


def test_fifteen_hundred_idle_connections_keep_nobody_from_being_served(field, dice):
    _holds(strangers.idle_connections(field, dice, connections=1500, seconds=2))


def test_bodies_that_never_come_are_given_up(field, dice):
    _holds(strangers.bodies_end(field, dice, held=10))


def test_eight_bombs_at_once_cost_little_memory_and_nobody_else(field, dice):
    _holds(strangers.json_bombs(field, dice, at_once=8))
