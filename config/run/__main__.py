"""`make run`: everything of Aval on this machine, together until Ctrl-C.

    python -m config.run                        web server, workers and beat, on embedded servers where none are given
    python -m config.run web|worker|...         one of them alone, on given servers: what a container runs
    python -m config.run migrate                brings the database up to date and ends
    python -m config.run health                 asks the web server how it is

What a user can cause ends with one sentence on standard error and exit code 1.
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
from config.run.data_folder import EmbeddedError, FolderGone, own_folder, told_in_one_sentence
from config.run.environment import Refusal, data_dir, fill_in, is_missing, migrate_url, port, public_url, read_dotenv
from config.run.processes import FileLock, ask_for_death_signal, holders, send
from config.run.programs import COMMANDS, host, wanted
from config.run.supervisor import Child, Supervisor, say

if TYPE_CHECKING:
    from config.embedded.stack import Servers

START_SECONDS = 60.0
"""How long the web server may take to its first answer; as a rule it takes two."""


# --- before it runs ------------------------------------------------------------------------------------------


def _address() -> tuple[str, int]:
    """Where to reach the web server from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host(), host())  # noqa: S104 (compared, not bound)
    return reachable, port()


def check_port() -> None:
    wanted = port()
    family, kind, protocol, _, address = socket.getaddrinfo(host(), wanted, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise Refusal(f"Port {wanted} needs root: choose another with `make run PORT=8080`.") from None
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise Refusal(
                    f"Port {wanted} is in use by another program: choose another with `make run PORT={wanted + 1}`."
                ) from None
            raise Refusal(f"HOST={host()} cannot be used: {fault.strerror}.") from None


@contextmanager
def only_run_of(data: Path) -> Iterator[FileLock]:
    """One `make run` a data folder. Yields the lock that the children inherit: held without a supervisor, it shows
    that an earlier run was killed and its children are still ending."""
    with told_in_one_sentence(data):
        data = own_folder(data)
        (data / "locks").mkdir(mode=0o700, exist_ok=True)
        run, children = FileLock(data / "locks" / "run"), FileLock(data / "locks" / "children")
    try:
        if not run.try_exclusive():
            raise Refusal(f"Aval is already running on the data folder {data}: stop it, or choose another DATA_DIR.")
        if not children.try_exclusive():
            say("aval: waiting for the processes of a run that was killed.")
            if not children.wait_exclusive(5):
                send(holders(children.path), signal.SIGKILL)
                if not children.wait_exclusive(5):
                    raise Refusal(f"Processes of an earlier run on {data} do not end.")
        yield children
    finally:
        children.close()
        run.close()


def load_settings() -> None:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        settings.DEBUG  # noqa: B018 (the first look at any of them loads them all)
    except ImproperlyConfigured as fault:
        raise Refusal(str(fault)) from None


def load_django() -> None:
    import django
    from django.core.exceptions import ImproperlyConfigured

    load_settings()
    try:
        django.setup()
    except ImproperlyConfigured as fault:  # an app of ours looked closer
        raise Refusal(str(fault)) from None


def migrate(owner_url: str) -> None:
    """Bring the database up to date as the owner of the tables, then grant the run role its own. To find that nothing
    is to do takes a tenth of what `migrate` takes for it."""
    from django.core.management import call_command
    from django.db import OperationalError, connection
    from django.db.migrations.executor import MigrationExecutor

    name = "DATABASE_URL" if owner_url == os.environ["DATABASE_URL"] else "MIGRATE_DATABASE_URL"
    try:
        with roles.connected_as(owner_url):
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                say(f"aval: bringing the database up to date ({len(plan)} migrations).")
                call_command("migrate", interactive=False, verbosity=0)
            roles.grant(os.environ["DATABASE_URL"])
        name = "DATABASE_URL"
        connection.ensure_connection()
    except OperationalError as fault:
        raise Refusal(f"PostgreSQL does not answer at {name}: {_first_line(fault)}") from None
    finally:
        connection.close()


def bootstrap() -> None:
    """On the first run: an admin, a demo partner, and how to call the contracts."""
    from django.core.management import CommandError, call_command
    from django.db import connection

    try:
        call_command("bootstrap_demo")
    except CommandError as fault:
        raise Refusal(str(fault)) from None
    finally:
        connection.close()


def check_redis() -> None:
    import redis

    try:
        with redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as fault:
        raise Refusal(f"Redis does not answer at REDIS_URL: {_first_line(fault)}") from None


def _first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


# --- running -------------------------------------------------------------------------------------------------


def status_of_web() -> int:
    """The HTTP status that the web server answers with; 0 while it does not."""
    connection = http.client.HTTPConnection(*_address(), timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/v1/api/status", headers={"Host": urlsplit(public_url()).netloc})
        return connection.getresponse().status
    connection.close()
    return 0


def await_web(crew: Supervisor, web: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (status := status_of_web()) != http.HTTPStatus.OK:
        if crew.told_to_stop:
            return
        if not web.is_running():
            raise Refusal("The web server did not start; what it said about it stands above.")
        if time.monotonic() > deadline:
            raise Refusal(f"The web server did not answer GET /v1/api/status with 200 in time, but with {status}.")
        time.sleep(0.05)


class Watch:
    """Looks after the embedded servers about once a second, between two looks at the children."""

    def __init__(self, servers: "Servers") -> None:
        self.servers = servers
        self.next_look = 0.0

    def __call__(self) -> None:
        if time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + 1
        try:
            for title in self.servers.revive():
                say(f"aval: {title} had lost its keeper and was started again.")
        except FolderGone:
            raise
        except EmbeddedError as fault:
            say(f"aval: {fault} Trying again in 5 s.")
            self.next_look = time.monotonic() + 5


def everything() -> None:
    """Returns after an orderly stop."""
    commands = {name: COMMANDS[name]() for name in wanted()}  # first, for what is wrong with the environment
    with ExitStack() as stopping:
        children_lock = stopping.enter_context(only_run_of(data_dir()))
        check_port()
        redis_was_given = not is_missing("REDIS_URL")
        servers = stopping.enter_context(embedded_where_missing())
        fill_in()
        owner_url = roles.owner_url(servers)
        load_django()
        if redis_was_given:
            check_redis()
        migrate(owner_url)
        bootstrap()
        inherit = (children_lock.fd, *(servers.inheritable if servers else ()))
        child = {name: Child(name, command, inherit) for name, command in commands.items()}
        crew = Supervisor(list(reversed(child.values())), Watch(servers) if servers else None)
        crew.listen()
        stopping.callback(crew.stop)
        child["web"].start()
        child["worker"].start()  # the others follow once the web answers: nobody waits for them in the first second
        await_web(crew, child["web"])
        if not crew.told_to_stop:
            say(f"Aval is ready at {public_url()} (Ctrl-C stops it).")
        crew.run()
        say("aval: stopping.")


def one(name: str) -> None:
    if name == "migrate":
        owner_url = migrate_url()
        load_django()
        migrate(owner_url)
    elif name == "health":
        if (status := status_of_web()) != http.HTTPStatus.OK:
            raise Refusal(f"GET /v1/api/status answers {status}." if status else "The web server does not answer.")
    elif name in COMMANDS:
        load_settings()  # nonsense in them is one sentence here, and a traceback in the program
        command = COMMANDS[name]()
        os.execv(command[0], command)  # noqa: S606 (a fixed list)
    else:
        raise Refusal(
            f"There is no {name!r}: say {', '.join(COMMANDS)}, migrate or health, or nothing for all together."
        )


def _let_signals_interrupt() -> None:
    """Until the children run, a stop is a KeyboardInterrupt wherever we are. SIGINT is named too, because a shell
    script starts its background jobs with it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    if os.environ.pop("MAKELEVEL", ""):  # a killed `make run` takes us along, as Ctrl-C does
        ask_for_death_signal(signal.SIGTERM)


def main(words: list[str]) -> int:
    try:
        read_dotenv()
        if words:
            one(words[0])
        else:
            _let_signals_interrupt()
            everything()
    except (Refusal, EmbeddedError) as fault:
        print(f"aval: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
