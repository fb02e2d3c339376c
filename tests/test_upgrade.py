"""An upgrade as docs/upgrade.md has it: under traffic, with a filled database, the version before beside the new one.

`OLDER` is the version that installations come from. Its code is taken from the repository's history; it runs with the
packages of the new one.
"""

import io
import logging
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import httpx
import pytest

from bench import history
from config.run.processes import wait_until
from config.variables import BASE_DIR
from testkit.stack import Stack, free_port, running
from testkit.traffic import Traffic

OLDER = "cf51204f26752fd71fb1eb6cc81a2c1b8604fd3f"
FILLED = int(os.environ.get("AVAL_UPGRADE_CODES") or 100_000)
"""Old codes in the database, each with a message. 1,000,000 take some minutes to make."""
CALLERS = 3
log = logging.getLogger(__name__)
"""Shows how long it took: `pytest -rP`."""


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """Folder with the code of the version before."""
    look = ["git", "cat-file", "-e", f"{OLDER}^{{commit}}"]
    if subprocess.run(look, cwd=BASE_DIR, capture_output=True, check=False).returncode:
        pytest.skip(f"this clone has no history, and so not the version before ({OLDER[:7]})")
    folder = tmp_path_factory.mktemp("older")
    packed = subprocess.run(["git", "archive", OLDER], cwd=BASE_DIR, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Callers:
    """Clients that register, ask for a code, and verify it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.slowest = 0.0

    def one_client(self) -> None:
        client, phone = self.timed(self.stack.register), self.stack.phone()
        answer = self.timed(lambda: self.stack.ask(client, phone))
        assert answer.status_code == 200, answer.text
        code = self.stack.code_soon(phone, 20)
        answer = self.timed(lambda: self.stack.verify(client, code))
        assert answer.status_code == 200, answer.text

    def timed(self, act):
        began = time.monotonic()
        found = act()
        self.slowest = max(self.slowest, time.monotonic() - began)
        return found


@pytest.mark.timeout(900)
def test_an_upgrade_under_traffic_refuses_no_call_and_loses_no_code(older, tmp_path):
    port = free_port()
    with (
        running(tmp_path / "stack", older, LOG_LEVEL="INFO") as stack,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as new_http,
    ):
        with stack.database() as database:
            database.execute("SET statement_timeout = 0")
            history.prepare(database)
            history.fill(database, FILLED)
        filled = stack.logs()  # the filling is no part of the upgrade
        callers = Callers(stack)
        with Traffic(callers.one_client, callers=CALLERS) as calls:
            calls.goes_on()
            stack.source = BASE_DIR
            began = time.monotonic()
            stack.command("config.run", "migrate", MIGRATE_DATABASE_URL=stack.servers.owner_url)
            migrated = time.monotonic() - began
            calls.goes_on()  # all of the version before, on the new tables
            old_worker, stack.worker = stack.worker, stack.program("worker", log="worker-new")
            replace(old_worker, stack.worker)
            calls.goes_on()  # the web server of before, the worker of now
            move_to_a_new_web_server(stack, port, new_http)
            calls.goes_on()
            for name in ("periodic", "beat"):
                before, now = getattr(stack, name), stack.program(name, log=f"{name}-new")
                setattr(stack, name, now)
                replace(before, now)
            calls.goes_on()
        log.info("migrate took %.1f s, %d codes were verified", migrated, calls.done)
        log.info("the slowest call took %.2f s, %d were refused", callers.slowest, len(calls.faults))
        assert calls.faults == []
        assert calls.done >= 10 * CALLERS
        assert callers.slowest < 10, "nobody waits for a lock of the migration"
        errors = {
            name: found
            for name, text in stack.logs().items()
            if name != "postgres.log" and (found := errors_in(text.removeprefix(filled.get(name, ""))))
        }
        assert errors == {}, "\n".join(f"{name}:\n{found}" for name, found in errors.items())
        ((lost,),) = stack.sql(
            "SELECT count(*) FROM messaging_message WHERE state NOT IN ('SENT', 'DELIVERED', 'CANCELLED')"
        )
        assert lost == 0


def replace(before, now) -> None:
    """Start the new process, then end the old one in order."""
    now.start()
    before.signal(signal.SIGTERM)
    assert wait_until(lambda: not before.is_running(), 40), f"{before.name} does not end"


def move_to_a_new_web_server(stack: Stack, port: int, http: httpx.Client) -> None:
    """As a balancer does: a second web server, then the calls go to it, then the first one ends."""
    before, stack.web = stack.web, stack.program("web", log="web-new", PORT=str(port))
    stack.web.start()
    http.headers["Host"] = stack.url.removeprefix("http://")
    assert wait_until(lambda: answers(http), 60), f"see {stack.web.log}"
    stack.http = http
    time.sleep(1)  # for calls that the first one has
    before.signal(signal.SIGTERM)
    assert wait_until(lambda: not before.is_running(), 40), "the web server does not end"


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/v1/api/status").status_code == 200
    except httpx.TransportError:
        return False


def errors_in(log: str) -> str:
    """Lines of errors, with the 3 before and the 30 after each: a traceback that no logger made has many."""
    lines = log.splitlines()
    found = [number for number, line in enumerate(lines) if '"level": "ERROR"' in line or "Traceback" in line]
    shown = {near for number in found for near in range(number - 3, number + 31)}
    return "\n".join(line for number, line in enumerate(lines) if number in shown)
