"""Tests that need a program of the system: skipped where it is missing, unless everything must be tried."""

import os
from typing import NoReturn

import pytest

EVERYTHING = "AVAL_TEST_EVERYTHING"
"""Variable under which a missing program is a failure, as in .ci/run: a skipped test shows nothing."""


def skip_or_fail(missing: str) -> NoReturn:
    """Skip the test that runs, or fail it where EVERYTHING is set. `missing`: what is not there, and how to get it."""
    if os.environ.get(EVERYTHING):
        pytest.fail(missing)
    pytest.skip(missing)
