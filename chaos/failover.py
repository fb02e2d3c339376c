"""Scenario of a Redis failover: the primary is demoted, and the common address moves to the replica."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from chaos.brokers import check_outage
from chaos.checker import Counts
from chaos.harness import ChaosStack
from chaos.kills import ask_evenly, wait_for_all
from chaos.proxy import Proxy
from config.embedded.servers import Valkey, bare_environment
from config.run.processes import dying_with_us, wait_until
from testkit.stack import free_port

SWITCH_SECONDS = 3.0
"""Seconds during which the address still leads to the old primary, which is read-only by then."""


def redis_failover(stack: ChaosStack, rng: random.Random, *, messages: int) -> Counts:
    """As with Sentinel, HAProxy or a managed service: a replica is promoted, then all clients are led to it."""
    with _server(stack.folder / "redis-one") as one, _server(stack.folder / "redis-two") as two:
        _replicate(two, one)
        proxy = Proxy(("127.0.0.1", one))
        try:
            with stack.rewired(stack.programs, {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}):
                api = stack.ready()
                stack.providers["one"].control.set("ok", slow=0.1)
                asking = ask_evenly(api, messages, 15)
                time.sleep(rng.uniform(2, 3))
                with redis.Redis(port=two) as keys:
                    keys.replicaof("NO", "ONE")
                _replicate(one, two)
                time.sleep(SWITCH_SECONDS)
                proxy.target = ("127.0.0.1", two)
                proxy.cut()
                back = time.time()
                wait_for_all(asking)
                return check_outage(api, stack, back)
        finally:
            proxy.close()


def _replicate(replica: int, primary: int) -> None:
    with redis.Redis(port=replica) as keys:
        keys.replicaof("127.0.0.1", primary)
        assert wait_until(lambda: keys.info("replication")["master_link_status"] == "up", 20), "no replication"


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    """A Valkey with a port, which replication needs; yields the port."""
    folder.mkdir(exist_ok=True)
    server, port = Valkey(folder, folder), free_port()
    server.prepare(0)
    command = [*server.command(), "--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"]
    process = subprocess.Popen(
        command,
        env=bare_environment(),
        stdout=subprocess.DEVNULL,
        preexec_fn=dying_with_us(signal.SIGKILL),  # noqa: PLW1509  started from the main thread
    )
    try:
        assert wait_until(server.answers, 20), "Valkey does not start"
        yield port
    finally:
        process.kill()
        process.wait()
