"""Main process of the web server: opens the port and supervises the processes that serve it."""

import argparse
import os
import socket
import sys

from config.run.supervisor import Child, Supervisor
from config.webserver.affinity import ANY, cpu_of_each


def bound_socket(host: str, port: int) -> socket.socket:
    """Socket of the port for all processes. The first of them that can serve opens it (Server): until then callers are
    refused, and a proxy asks another server rather than wait for this one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.set_inheritable(True)
    return listening


def inheritable() -> tuple[int, ...]:
    """Descriptors for the children: the listening socket and, in `make run`, the locks of this run."""
    return tuple(fd for fd in map(int, os.listdir("/dev/fd")) if fd > 2 and _is_inheritable(fd))


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # the descriptor of the listing itself, closed by now
        return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.webserver")
    parser.add_argument("--host", required=True)
    for name in ("port", "processes", "threads", "connections", "connections-per-address"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--drain", type=int, default=0)
    parser.add_argument("--cpu-affinity", choices=("auto", "off"), default="auto")
    parser.add_argument("--application", default="config.wsgi:application", help="module:name of a WSGI application")
    given = parser.parse_args()
    with bound_socket(given.host, given.port) as listening:
        fd = listening.fileno()
        numbers = (fd, given.threads, given.connections, given.connections_per_address, given.drain)
        command = [sys.executable, "-m", "config.webserver.worker", given.application, *map(str, numbers)]
        cpus = cpu_of_each(given.processes) if given.cpu_affinity == "auto" else [ANY] * given.processes
        children = [
            Child(f"web process {number}", [*command, str(cpu)], inheritable(), own_session=False)
            for number, cpu in enumerate(cpus, start=1)
        ]
        supervisor = Supervisor(children)
        supervisor.listen()
        supervisor.run()
    supervisor.stop()


if __name__ == "__main__":
    main()
