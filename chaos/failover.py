"""Redis with a replica behind one address: the primary is demoted, and the address moves to the new one."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from chaos.brokers import counted
from chaos.checker import Counts
from chaos.kills import ended, spread
from chaos.proxy import Proxy
from chaos.standing import Field
from config.embedded.servers import Valkey, bare_environment
from config.run.processes import dying_with_us, wait_until
from testkit.stack import free_port

UNAWARE = 3.0
"""Seconds during which the address still leads to the old primary, which takes no writes any more."""


def redis_failover(stack: Field, dice: random.Random, *, messages: int) -> Counts:
    """What Sentinel, HAProxy or a managed service do: a replica is promoted, then everybody is led to it."""
    with _server(stack.folder / "redis-one") as one, _server(stack.folder / "redis-two") as two:
        _replicate(two, one)
        line = Proxy(("127.0.0.1", one))
        try:
            with stack.rewired(stack.programs, {"REDIS_URL": f"redis://127.0.0.1:{line.port}/0"}):
                front = stack.ready()
                stack.companies["one"].orders.give("ok", slow=0.1)
                asking = spread(front, messages, 15)
                time.sleep(dice.uniform(2, 3))
                with redis.Redis(port=two) as keys:
                    keys.replicaof("NO", "ONE")
                _replicate(one, two)
                time.sleep(UNAWARE)
                line.target = ("127.0.0.1", two)
                line.cut()
                back = time.time()
                ended(asking)
                return counted(front, stack, back)
        finally:
            line.close()


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
    words = [*server.command(), "--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"]
    process = subprocess.Popen(
        words,
        env=bare_environment(),
        stdout=subprocess.DEVNULL,
        preexec_fn=dying_with_us(signal.SIGKILL),  # noqa: PLW1509
    )
    try:
        assert wait_until(server.answers, 20), "Valkey does not start"
        yield port
    finally:
        process.kill()
        process.wait()
