"""A test that needs a program of the system is skipped without it, and fails where everything must be tried."""

import subprocess

import pytest

from config.variables import BASE_DIR
from testkit.skipping import EVERYTHING, skip_or_fail


def test_it_is_skipped_and_says_what_is_missing(monkeypatch):
    monkeypatch.delenv(EVERYTHING, raising=False)
    with pytest.raises(pytest.skip.Exception, match="Node"):
        skip_or_fail("Node.js is missing")


def test_it_fails_where_everything_must_be_tried(monkeypatch):
    monkeypatch.setenv(EVERYTHING, "1")
    with pytest.raises(pytest.fail.Exception, match="Node"):
        skip_or_fail("Node.js is missing")


def test_the_variable_is_read_in_one_place_and_set_where_all_is_tried():
    own = [f":!{path}" for path in ("testkit/skipping.py", "tests/test_skipping.py")]
    found = subprocess.run(
        ["git", "grep", "-lE", f"environ.*{EVERYTHING}", "--", "*.py", *own],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.split() == []
    assert f"export {EVERYTHING}=1" in (BASE_DIR / ".ci" / "run").read_text()
