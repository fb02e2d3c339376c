"""One web process: `python -m config.webserver.worker APPLICATION FD THREADS CONNECTIONS PER_ADDRESS DRAIN CPU`.

The main process starts and supervises it.
"""

import logging
import resource
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType

from config.run.processes import ask_for_death_signal
from config.webserver.affinity import stay_on

log = logging.getLogger("aval.web")

FILES_BESIDE_CONNECTIONS = 128
"""Descriptors for PostgreSQL, Redis, logs and code."""


def allow_files(connections: int) -> int:
    """Raise the limit on open files as far as needed and allowed; returns the connections that fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDE_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else max(16, min(connections, soft - FILES_BESIDE_CONNECTIONS))


def main(words: list[str]) -> None:
    ask_for_death_signal(signal.SIGTERM)  # a killed main process would leave us serving its port for ever
    module, _, name = words[0].partition(":")
    fd, threads, connections, per_address, drain, cpu = (int(word) for word in words[1:])
    stays = stay_on(cpu)  # before any thread is started
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which stops us in order

    application = getattr(import_module(module), name)
    from config.webserver.server import Limits, Server  # after Django is set up
    from metrics.request_counts import requests

    if not stays:
        log.warning("this web process may not stay on its CPU", extra={"cpu": cpu})
    requests.start()
    limits = Limits(allow_files(connections), per_address, drain=drain)
    server = Server(application, socket.socket(fileno=fd), threads, limits)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, stop)
    server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
