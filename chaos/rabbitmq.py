"""RabbitMQ node of a scenario, from Debian's package, with its own ports and folder."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.checker import NotInstalled
from config.embedded.servers import bare_environment
from config.run.processes import dying_with_us, wait_until
from testkit.stack import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the script in the PATH, which refuses users other than root and rabbitmq."""
START_SECONDS = 60.0
"""Limit for a start and for an orderly stop."""


def is_installed() -> bool:
    return SERVER.exists() and shutil.which("epmd") is not None


class RabbitMQ:
    """One node that can be killed, frozen and restarted; its `epmd`, which Erlang needs, runs beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.distribution, self.epmd_port = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.node: subprocess.Popen[bytes] | None = None
        self.epmd: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            **bare_environment(),
            "HOME": folder,  # of Erlang's cookie
            "RABBITMQ_NODENAME": "aval@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.distribution),
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def start(self) -> None:
        """Start the node and return once it answers."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "plugins").write_text("[].")
        if self.epmd is None:
            self.epmd = self._run("epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1")
        self.node = self._run(str(SERVER))
        assert wait_until(self.answers, START_SECONDS), f"RabbitMQ does not start: see {self.folder}"

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=dying_with_us(signal.SIGKILL),  # noqa: PLW1509  started from the main thread
            )

    def answers(self) -> bool:
        from kombu.connection import Connection

        with suppress(OSError), Connection(self.url, connect_timeout=1) as connection:
            connection.connect()
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        if self.node is not None and self.node.poll() is None:
            os.killpg(self.node.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.node is not None:
            self.node.wait()

    def restart(self) -> None:
        """Orderly restart: the node closes its connections first."""
        self.signal(signal.SIGTERM)
        assert self.node is not None
        self.node.wait(START_SECONDS)
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def end(self) -> None:
        self.kill()
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()


@contextmanager
def rabbitmq(folder: Path) -> Iterator[RabbitMQ]:
    """A running node, removed afterwards. Raises NotInstalled."""
    if not is_installed():
        raise NotInstalled("rabbitmq-server")
    shutil.rmtree(folder, ignore_errors=True)
    node = RabbitMQ(folder)
    try:
        node.start()
        yield node
    finally:
        node.end()
