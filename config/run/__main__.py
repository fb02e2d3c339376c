"""`make run`: start all programs of Aval on this machine and stop them on Ctrl-C.

    python -m config.run                        web server, workers and beat, on embedded servers if none are given
    python -m config.run web|worker|...         one of them, on given servers; the command of a container
    python -m config.run migrate                migrates the database and ends
    python -m config.run health [web|worker|...] whether this program does its work (config.run.health)

Faults that a user can cause end with one sentence on standard error and exit code 1.
"""

import errno
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from config import roles
from config.embedded.attach import embedded_where_missing
from config.run import health, static_files
from config.run.data_folder import EmbeddedError, FolderGone, as_embedded_error, own_folder
from config.run.environment import fill_in, migrate_url
from config.run.migration import first_line, migrate
from config.run.processes import FileLock, ask_for_death_signal, holders, send
from config.run.programs import COMMANDS, address, enabled_programs, environment_of, host
from config.run.supervisor import Child, Supervisor, print_line
from config.variables import StartError, data_dir, is_missing, port, public_url, read_dotenv

if TYPE_CHECKING:
    from config.embedded.stack import Servers

START_SECONDS = 60.0
"""Limit for the web server's first answer, which usually takes two seconds."""


# --- checks and setup ---------------------------------------------------------------------------------------


def check_port() -> None:
    number = port()
    family, kind, protocol, _, address = socket.getaddrinfo(host(), number, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise StartError(f"Port {number} needs root: choose another PORT (`make run PORT=8080`).") from None
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise StartError(
                    f"Port {number} is in use by another program: choose another PORT (`make run PORT={number + 1}`)."
                ) from None
            raise StartError(f"HOST={host()} cannot be used: {fault.strerror}.") from None


@contextmanager
def single_run(data: Path) -> Iterator[FileLock]:
    """Allow one `make run` for a data folder. Raises StartError.

    Yields the lock that the children inherit. If it is held without a supervisor, an earlier run was killed and its
    children are still ending.
    """
    with as_embedded_error(data):
        data = own_folder(data)
        (data / "locks").mkdir(mode=0o700, exist_ok=True)
        run, children = FileLock(data / "locks" / "run"), FileLock(data / "locks" / "children")
    try:
        if not run.try_exclusive():
            raise StartError(f"Aval is already running on the data folder {data}: stop it, or choose another DATA_DIR.")
        if not children.try_exclusive():
            print_line("aval: waiting for the processes of a run that was killed.")
            if not children.wait_exclusive(5):
                send(holders(children.path), signal.SIGKILL)
                if not children.wait_exclusive(5):
                    raise StartError(f"Processes of an earlier run on {data} do not end.")
        yield children
    finally:
        children.close()
        run.close()


def load_settings() -> None:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        settings.DEBUG  # noqa: B018  the first access loads all settings
    except ImproperlyConfigured as fault:
        raise StartError(str(fault)) from None


def load_django() -> None:
    import django
    from django.core.exceptions import ImproperlyConfigured

    load_settings()
    try:
        django.setup()
    except ImproperlyConfigured as fault:  # raised by a check in one of our apps
        raise StartError(str(fault)) from None


def bootstrap() -> None:
    """On the first run, create an admin and a demo partner and print how to call the contracts."""
    from django.core.management import CommandError, call_command
    from django.db import connection

    try:
        call_command("bootstrap_demo")
    except CommandError as fault:
        raise StartError(str(fault)) from None
    finally:
        connection.close()


def check_redis() -> None:
    import redis

    try:
        with redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as fault:
        raise StartError(f"Redis does not answer at REDIS_URL: {first_line(fault)}") from None


# --- running ------------------------------------------------------------------------------------------------


def web_status() -> int:
    """HTTP status of `/status`; 0 without an answer."""
    connection = http.client.HTTPConnection(*address(), timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/v1/api/status", headers={"Host": urlsplit(public_url()).netloc})
        return connection.getresponse().status
    connection.close()
    return 0


def wait_for_web(supervisor: Supervisor, web: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (status := web_status()) != http.HTTPStatus.OK:
        if supervisor.stop_requested:
            return
        if not web.is_running():
            raise StartError("The web server did not start; what it said about it stands above.")
        if time.monotonic() > deadline:
            raise StartError(f"The web server did not answer GET /v1/api/status with 200 in time, but with {status}.")
        time.sleep(0.05)


class ServerMonitor:
    """Check of the embedded servers' watchdogs, about once a second."""

    def __init__(self, servers: "Servers") -> None:
        self.servers = servers
        self.next_check = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self.next_check:
            return
        self.next_check = time.monotonic() + 1
        try:
            for title in self.servers.revive():
                print_line(f"aval: {title} had lost its watchdog and was started again.")
        except FolderGone:
            raise
        except EmbeddedError as fault:
            print_line(f"aval: {fault} Trying again in 5 s.")
            self.next_check = time.monotonic() + 5


def run_all() -> None:
    """Run all programs; returns after an orderly stop."""
    commands = {name: COMMANDS[name]() for name in enabled_programs()}  # first, to find faults of the environment
    with ExitStack() as stopping:
        children_lock = stopping.enter_context(single_run(data_dir()))
        check_port()
        redis_was_given = not is_missing("REDIS_URL")
        servers = stopping.enter_context(embedded_where_missing())
        fill_in()
        own_static_files = static_files.use_own_folder()
        owner_url = roles.owner_url(servers)
        load_django()
        if redis_was_given:
            check_redis()
        migrate(owner_url)
        if own_static_files:
            static_files.collect()
        bootstrap()
        inherit = (children_lock.fd, *(servers.inheritable if servers else ()))
        child = {
            name: Child(name, command, inherit, environment=environment_of(name)) for name, command in commands.items()
        }
        supervisor = Supervisor(list(reversed(child.values())), ServerMonitor(servers) if servers else None)
        supervisor.listen()
        stopping.callback(supervisor.stop)
        child["web"].start()
        child["worker"].start()  # the others follow once the web server answers
        wait_for_web(supervisor, child["web"])
        if not supervisor.stop_requested:
            print_line(f"Aval is ready at {public_url()} (Ctrl-C stops it).")
        supervisor.run()
        print_line("aval: stopping.")


def run_one(name: str, program: str = "") -> None:
    if name == "migrate":
        owner_url = migrate_url()
        load_django()
        migrate(owner_url)
    elif name == "health":
        print_line(f"aval: {health.check(program or 'web')}")
    elif name in COMMANDS:
        load_settings()  # a fault is one sentence here, and a traceback in the program
        if name == "web":
            check_port()
        command = COMMANDS[name]()
        os.environ |= environment_of(name)
        os.execv(command[0], command)  # noqa: S606  a fixed list
    else:
        raise StartError(
            f"There is no {name!r}: say {', '.join(COMMANDS)}, migrate or health, or nothing for all together."
        )


def _raise_on_signals() -> None:
    """Turn stop signals into KeyboardInterrupt until the children run. SIGINT is set too: a shell script starts its
    background jobs with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    if os.environ.pop("MAKELEVEL", ""):  # a killed `make run` stops us, as Ctrl-C does
        ask_for_death_signal(signal.SIGTERM)


def main(words: list[str]) -> int:
    try:
        read_dotenv()
        if words:
            run_one(*words[:2])
        else:
            _raise_on_signals()
            run_all()
    except (StartError, EmbeddedError) as fault:
        print(f"aval: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
