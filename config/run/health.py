"""`python -m config.run health [program]`: whether a program of this machine does its work. Exit code 0 or 1, one line.

The web server is asked at `/health/ready`. Of the others there are heartbeats (clients.heartbeat). A process whose
heartbeat is old is not at fault while a server that it needs is away: it tries again by itself, and a supervisor that
restarts it in ever longer intervals would delay its return.
"""

import http.client
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress

from clients import heartbeat
from config.run.programs import address
from config.variables import StartError, health_folder, is_missing

LIMITS: dict[str, tuple[float, float]] = {
    "worker": (30.0, 60.0),
    "periodic": (30.0, 120.0),
    "bulk": (30.0, 1200.0),
    "beat": (30.0, 30.0),
    "webhooks": (30.0, 30.0),
    "smpp": (30.0, 30.0),
    "metrics": (30.0, 30.0),
}
"""Seconds since each kind of work was last done, and of the longest task.

The loop of a worker turns every 2 s, sweeps end and are asked for every 2 s, a look for events is a few statements of
at most 5 s. A task of `bulk` sends a hundred mails, ten at a time in at most 80 s (messaging.delivery.bulk); one of
the night takes ten seconds and its last statement. A round of `metrics` is every 5 s, and its webhook may take 15.
"""
SERVER_SECONDS = 3
"""Limit for the answer of a server, asked only where a heartbeat is old."""


def check(program: str, *, at: float | None = None) -> str:
    """Line for a healthy program. Raises StartError with the line for one that is not. `at`: by the monotonic clock."""
    if program == "web":
        return _check_web()
    if program not in LIMITS:
        raise StartError(f"There is no health of {program!r}: say web, {', '.join(LIMITS)}.")
    states = heartbeat.live(health_folder(), program)
    if not states:
        raise StartError(f"no process of {program} runs with DATA_DIR={health_folder().parent}.")
    now = time.monotonic() if at is None else at
    faults = [fault for state in states for fault in _faults(program, state, now)]
    if not faults:
        return f"{program} is healthy ({_count(len(states))})."
    away = _servers_away()
    if away:
        return f"{program} waits for {' and '.join(away)}, which {'do' if len(away) > 1 else 'does'} not answer."
    raise StartError(f"{program}: {'; '.join(faults)}.")


def _count(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def _faults(program: str, state: heartbeat.State, now: float) -> Iterator[str]:
    idle, busy = LIMITS[program]
    for kind, at in state.done.items():
        if now - at > idle:
            yield f"process {state.pid} did its last {kind} {now - at:.0f} s ago"
    if state.busy_since is not None and now - state.busy_since > busy:
        yield f"process {state.pid} has been at one task for {now - state.busy_since:.0f} s"


def _check_web() -> str:
    connection = http.client.HTTPConnection(*address(), timeout=2)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        raise StartError("The web server does not answer.") from None
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        return "web is healthy."
    parts = {}
    with suppress(ValueError):  # another server on this port
        parts = json.loads(body).get("parts", {})
    which = ", ".join(f"{name}: {said}" for name, said in parts.items() if said != "ok")
    raise StartError(f"GET /health/ready answers {answer.status}{f' ({which})' if which else ''}.")


def _servers_away() -> list[str]:
    """Those of the two servers that do not answer from here. With embedded servers they are not asked: `make run`
    restarts them itself."""
    if is_missing("DATABASE_URL"):
        return []
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings

    away = [] if _broker_answers(settings.BROKER_URL) else ["the broker"]
    return away if _database_answers() else [*away, "PostgreSQL"]


def _broker_answers(url: str) -> bool:
    from kombu.connection import Connection
    from kombu.exceptions import OperationalError

    options = {"socket_timeout": SERVER_SECONDS, "socket_connect_timeout": SERVER_SECONDS, "max_retries": 0}
    with Connection(url, connect_timeout=SERVER_SECONDS, transport_options=options) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_max=0, timeout=SERVER_SECONDS)
            connection.channel()  # with Redis nothing is sent before
        except (*connection.connection_errors, *connection.channel_errors, OperationalError, OSError):
            return False
    return True


def _database_answers() -> bool:
    import psycopg

    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=SERVER_SECONDS, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
