"""Programs of Aval and their command lines: `make run` starts all, a container one."""

import os
import socket
import sys
from collections.abc import Callable

from config.variables import BASE_DIR, StartError, choice, data_dir, is_missing, number, port, web_threads

PYTHON = os.path.join(os.path.realpath(os.path.dirname(sys.executable)), os.path.basename(sys.executable))
"""This Python by the real path of its folder: where that is a link to the version in use, a process stays with its own
packages when the link moves on (docs/upgrade.md)."""


def host() -> str:
    """HOST as an address for the web server; of several addresses the IPv4 one. Raises StartError."""
    given = os.environ.get("HOST") or "127.0.0.1"
    try:
        found = socket.getaddrinfo(given, None, type=socket.SOCK_STREAM)
    except OSError:
        raise StartError(f"HOST must be an address of this machine, not {given!r}.") from None
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def address() -> tuple[str, int]:
    """Address of the web server from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host(), host())  # noqa: S104  compared, not bound
    return reachable, port()


def web_command() -> list[str]:
    options = {
        "--host": host(),
        "--port": str(port()),
        "--processes": str(number("WEB_WORKERS", 2, high=64)),
        "--threads": str(web_threads()),
        "--connections": str(number("WEB_CONNECTIONS", 2000, low=50, high=50_000)),
        "--connections-per-address": str(number("CONNECTIONS_PER_ADDRESS", 256, low=10, high=50_000)),
        "--drain": str(number("DRAIN_SECONDS", 0, low=0, high=15)),
        "--cpu-affinity": choice("WEB_CPU_AFFINITY", "auto", ("auto", "off")),
    }
    return [*(PYTHON, "-m", "config.webserver"), *(word for pair in options.items() for word in pair)]


def _celery(what: str) -> list[str]:
    """Celery command without its banner and without its warning to root, who runs it in a container: the warning is
    about pickled tasks, and ours are JSON."""
    quiet = ["-W", "ignore:You're running the worker with superuser privileges"] if os.geteuid() == 0 else []
    return [PYTHON, *quiet, "-m", "celery", "--quiet", "-A", "config", what]


def worker_command() -> list[str]:
    """Worker for codes: four threads for wake-ups; the threads that wait for providers (WORKER_THREADS) belong to
    messaging.delivery.thread_pool."""
    return _worker("codes", "codes", CODES_THREADS)


def periodic_command() -> list[str]:
    """Worker for sweeps, a process of its own: they must run while all other threads wait for providers."""
    return _worker("periodic", "periodic", PERIODIC_THREADS)


def bulk_command() -> list[str]:
    """Worker for campaigns, a process of its own: a code never waits for a thread behind a campaign."""
    return _worker("bulk", "bulk", number("BULK_THREADS", 2, high=200))


def _worker(name: str, queues: str, threads: int) -> list[str]:
    return [
        *_celery("worker"),
        *("-n", f"{name}@%h", "-Q", queues),
        *("--pool", "threads", "--concurrency", str(threads)),
        *("--without-mingle", "--without-gossip"),  # workers do not need each other: the first task starts 1 s sooner
        *("--loglevel", "INFO"),
    ]


def beat_command() -> list[str]:
    # No pid file: after a crash it would block beat, and a second beat is harmless.
    return [*_celery("beat"), *("--schedule", str(data_dir() / "beat-schedule"), "--pidfile=", "--loglevel", "WARNING")]


def smpp_command() -> list[str]:
    """Process that holds the sessions of smpp:// gateways; without such a gateway it ends at once."""
    return [PYTHON, str(BASE_DIR / "manage.py"), "smpp_gateway"]


def webhooks_command() -> list[str]:
    """Dispatcher of webhooks, a process of its own: a partner's slow server delays neither codes nor sweeps."""
    return [PYTHON, str(BASE_DIR / "manage.py"), "dispatch_webhooks"]


def metrics_command() -> list[str]:
    """Process that serves the metrics on METRICS_PORT, to this machine alone unless METRICS_HOST says otherwise, and
    evaluates the alarms for ALARM_URL."""
    if not _has_metrics():
        raise StartError("Neither METRICS_PORT nor ALARM_URL is set: this process has nothing to do (docs/metrics.md).")
    command = [PYTHON, str(BASE_DIR / "manage.py"), "serve_metrics"]
    if is_missing("METRICS_PORT"):
        return command
    address = ["--host", os.environ.get("METRICS_HOST") or "127.0.0.1"]
    return [*command, *address, "--port", str(number("METRICS_PORT", 9100, high=65535))]


def _has_metrics() -> bool:
    return not (is_missing("METRICS_PORT") and is_missing("ALARM_URL"))


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "web": web_command,
    "worker": worker_command,
    "periodic": periodic_command,
    "bulk": bulk_command,
    "beat": beat_command,
    "webhooks": webhooks_command,
    "smpp": smpp_command,
    "metrics": metrics_command,
}


def _smpp_gateways() -> int:
    return sum(url.lower().startswith("smpp://") for url in os.environ.get("SMS_URL", "").split())


CODES_THREADS, PERIODIC_THREADS, METRICS_THREADS = 4, 2, 2
"""Threads of the tasks of `codes` and of the sweeps, and those that answer scrapes."""
MOST_CONNECTIONS: dict[str, Callable[[], int]] = {
    # beside its requests each process has one for health and one for the counts of calls
    "web": lambda: number("WEB_WORKERS", 2, high=64) * (web_threads() + 1 + 2),
    # beside its threads each worker has one of its main thread, from the start
    "worker": lambda: number("WORKER_THREADS", 16, low=2, high=200) + CODES_THREADS + 1,
    "periodic": lambda: PERIODIC_THREADS + 1,
    "bulk": lambda: number("BULK_THREADS", 2, high=200) + 1,
    "beat": lambda: 0,
    "webhooks": lambda: 1,
    "smpp": _smpp_gateways,
    "metrics": lambda: METRICS_THREADS + 1,
}
"""Most connections to PostgreSQL of one process of each program: a thread that has used the database keeps its own
(docs/sizing.md)."""


def environment_of(name: str) -> dict[str, str]:
    """Variables of a program: the name under which PostgreSQL shows its connections (`pg_stat_activity`). libpq reads
    PGAPPNAME, and config.settings takes it over."""
    return {"PGAPPNAME": f"aval-{name}"}


def enabled_programs() -> list[str]:
    """Names of the programs that `make run` starts: all but those without work by the settings."""
    left_out = {"smpp": not _smpp_gateways(), "metrics": not _has_metrics()}
    return [name for name in COMMANDS if not left_out.get(name)]
