"""What every benchmark stands on: a whole Aval of its own, and more processes beside it that end with it."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.machine import Meter, group
from config.run.environment import BASE_DIR
from config.run.processes import dying_with_us, wait_until
from testkit.processes import Program
from testkit.stack import Stack, free_port, running

NORMAL = {"LOG_LEVEL": "INFO", "INFORMAPERU_OPEN": "true"}
"""As an operator's logs are; and nobody needs a key to ask for a code, whatever gateways there are."""


@contextmanager
def standing(folder: Path, **settings: str) -> Iterator[Stack]:
    """A stack that is empty at first. Its database is removed at the end, its logs stay."""
    with ExitStack() as stopping:
        stopping.callback(shutil.rmtree, folder / "pg", ignore_errors=True)
        yield stopping.enter_context(running(folder, **NORMAL, **settings))


@contextmanager
def bulk_worker(stack: Stack) -> Iterator[Program]:
    """The process that campaigns leave through; a stack's tests start it themselves."""
    bulk = stack.program("bulk")
    bulk.start()
    try:
        yield bulk
    finally:
        bulk.kill()


@contextmanager
def serving(
    module: str, log: Path, environment: Mapping[str, str], *, port: int | None = None
) -> Iterator[tuple[int, int]]:
    """A module that serves at PORT, by default one that is free; yields port and process group."""
    port = port or free_port()
    with log.open("wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=BASE_DIR,
            env={**environment, "PORT": str(port)},
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509  started from the main thread
        )
    try:
        assert wait_until(lambda: _is_open(port), 20), f"{module} does not answer: see {log}"
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)


def meter(stack: Stack, **others: int) -> Meter:
    """Of the stack's processes and of further process groups. Ids are looked up each time: PostgreSQL's come and go."""
    found = {
        "web": lambda: group(stack.web.pid),
        "worker": lambda: group(stack.worker.pid) + group(stack.periodic.pid),
        "PostgreSQL": stack.postgres.pids,
        "Valkey": stack.redis.pids,
    }
    return Meter(found | {name: partial(group, leader) for name, leader in others.items()})


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
