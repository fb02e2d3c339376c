"""Fixtures of the tests of embedded servers and `make run`: real processes, found by their data folder."""

import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.logs import JsonLineFormatter, RequestId
from config.variables import BASE_DIR

OURS = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SECRET_KEY", "PUBLIC_URL", "SANDBOX", "DATA_DIR", "PORT", "HOST")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all variables of Aval from the environment."""
    for name in (*OURS, "DJANGO_SETTINGS_MODULE", "MAKELEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder with a short name; no process of its servers may be left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="aval-test-"))
    yield folder
    soon(lambda: not processes_of(folder))
    shutil.rmtree(folder, ignore_errors=True)


def soon(condition: Callable[[], object], seconds: float = 20) -> None:
    """Poll until the condition holds without an exception; fails with the last exception."""
    deadline = time.monotonic() + seconds
    while True:
        failure: Exception | None = None
        try:
            if condition():
                return
        except Exception as fault:  # noqa: BLE001  any exception means: not yet
            failure = fault
        if time.monotonic() > deadline:
            raise AssertionError("not in time") from failure
        time.sleep(0.02)


def processes_of(folder: Path) -> dict[int, str]:
    """Other living processes whose command line or environment names this folder."""
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True)
    found = {}
    for line in listing.stdout.splitlines():
        pid, state, command = line.split(None, 2)
        if str(folder) in command and not state.startswith("Z") and int(pid) != os.getpid():
            found[int(pid)] = command
    return found


def postmaster(data: Path) -> int:
    return int((data / "pg" / "postmaster.pid").read_text().split()[0])


def python(*words: str, **environment: str) -> "subprocess.Popen[str]":
    """Start Python in the project's folder, with standard output and error in one pipe."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=BASE_DIR,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def lines():
    """The log as it is written, one dictionary a line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLineFormatter())
    handler.addFilter(RequestId())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
