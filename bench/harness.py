"""Harness of the benchmarks: a complete installation, and further processes that end with it."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench.machine import Meter, group
from config.run.processes import dying_with_us, wait_until
from config.variables import BASE_DIR
from testkit.processes import Program
from testkit.stack import MASK, Stack, free_port, running

KEEP_DAYS = "3650"
KEPT = dict.fromkeys(
    (f"KEEP_{name}_DAYS" for name in ("MESSAGES", "CODES", "PENDING", "VALIDATED", "DEAUTHORIZED", "REQUESTS")),
    KEEP_DAYS,
)
"""Retention periods that outlast the oldest row of a benchmark: at night, retention would delete rows that are being
counted."""
NORMAL = {"LOG_LEVEL": "INFO", "INFORMAPERU_OPEN": "true", **KEPT}
"""Log level of production, and contract 2 without a credential whatever the gateways are."""


@contextmanager
def running_stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """A running stack, empty at first. Its database is removed at the end; its logs stay."""
    with ExitStack() as stopping:
        stopping.callback(shutil.rmtree, folder / "pg", ignore_errors=True)
        yield stopping.enter_context(running(folder, **NORMAL, **settings))


@contextmanager
def bulk_worker(stack: Stack) -> Iterator[Program]:
    """A worker for campaigns, which a stack does not start by itself."""
    with stack.program("bulk").running() as bulk:
        yield bulk


@contextmanager
def serving_command(
    command: Sequence[str], log: Path, environment: Mapping[str, str], port: int, *, folder: Path = BASE_DIR
) -> Iterator[tuple[int, int]]:
    """A command that serves at this port; yields port and process group."""
    with log.open("wb") as file:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=dying_with_us(signal.SIGTERM),  # noqa: PLW1509  started from the main thread
        )
    try:
        assert wait_until(lambda: _is_open(port), 20), f"{' '.join(command)} does not answer: see {log}"
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def serving(
    module: str, log: Path, environment: Mapping[str, str], *, port: int | None = None
) -> Iterator[tuple[int, int]]:
    """A module that serves at PORT, by default a free one; yields port and process group."""
    port = port or free_port()
    with serving_command([sys.executable, "-m", module], log, {**environment, "PORT": str(port)}, port) as server:
        yield server


def place_of_code(stack: Stack) -> slice:
    """Where a message has its code, which is masked in our own row: found by one that is asked for."""
    asked = stack.asked()
    stack.code_soon(asked.phone)
    text = stack.sql("SELECT text FROM messaging_message WHERE recipient = %s", asked.phone)[0][0]
    return slice(text.index(MASK), text.index(MASK) + len(MASK))


def meter(stack: Stack, ours: int = 0, **others: int) -> Meter:
    """Meter of the stack's processes and of further process groups, without our own session of PostgreSQL."""
    found = {
        "web": lambda: group(stack.web.pid),
        "worker": lambda: group(stack.worker.pid) + group(stack.periodic.pid),
        "PostgreSQL": postgres_but(stack, ours),
        "Valkey": stack.redis.pids,
    }
    return Meter(found | {name: partial(group, leader) for name, leader in others.items()})


def postgres_but(stack: Stack, session: int) -> Callable[[], list[int]]:
    """The processes of PostgreSQL but this one. Ids are read each time: they change."""
    return lambda: [pid for pid in stack.postgres.pids() if pid != session]


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
