"""A worker survives an outage of its broker and the remains of the lost connection."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from config.embedded.servers import Valkey, bare_environment
from config.run.processes import wait_until
from config.variables import BASE_DIR
from config.worker import Consumer

APP = """
import os, time
from celery import Celery
from kombu.transport.virtual.base import QoS

app = Celery("breaking", broker=os.environ["TEST_BROKER"])
app.conf.update(
    task_acks_late=True, task_ignore_result=True, worker_consumer="config.worker:Consumer",
    broker_connection_max_retries=None, broker_transport_options={"socket_timeout": 5, "max_retries": 1},
    worker_cancel_long_running_tasks_on_connection_loss=False, worker_enable_remote_control=False,
)

@app.task(name="note")
def note(text, seconds=0.0):
    with open(os.environ["TEST_NOTES"], "a") as notes:
        print(text, file=notes)
    time.sleep(seconds)

def broken(self, stderr=None):
    raise AttributeError("'NoneType' object has no attribute 'client'")

QoS.restore_unacked_once = broken
"""


class Broker:
    """A Valkey of the test's own, killed and started by hand."""

    def __init__(self, folder: Path) -> None:
        for name in ("run", "logs"):
            (folder / name).mkdir()
        self.server = Valkey(folder, folder / "run")
        self.server.prepare(0)
        self.url = f"redis+socket://{self.server.socket}?virtual_host=0"

    def start(self) -> None:
        self.process = subprocess.Popen(self.server.command(), env=bare_environment(), stdout=subprocess.DEVNULL)
        assert wait_until(self.server.answers, 20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.mark.timeout(60)
def test_a_worker_goes_on_after_kombu_failed_to_clean_up_a_lost_connection(broker, tmp_path):
    (tmp_path / "breaking.py").write_text(APP)
    notes, output = tmp_path / "notes", tmp_path / "output"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{BASE_DIR}",
        "TEST_BROKER": broker.url,
        "TEST_NOTES": str(notes),
    }
    options = ["-A", "breaking", "worker", "-P", "threads", "-c", "2", "--without-mingle", "--without-gossip"]
    with output.open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "--quiet", *options], env=environment, stdout=log, stderr=log
        )
    try:
        with Celery(broker=broker.url, set_as_current=False) as producer:
            producer.send_task("note", ["before", 3.0])
            assert wait_until(notes.exists, 20), output.read_text()
            broker.kill()  # with a message that is not acknowledged
            time.sleep(0.5)
            broker.start()
            time.sleep(3)  # it is acknowledged now, over the connection that is lost
            producer.send_task("note", ["after"])
            assert wait_until(lambda: "after" in notes.read_text(), 10), output.read_text()
        assert worker.poll() is None
        assert "Unrecoverable" not in output.read_text()
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()


def test_the_consumer_takes_what_is_left_of_a_connection_for_a_lost_one(monkeypatch):
    def broken(self, exc):
        raise AttributeError("client")

    monkeypatch.setattr(Consumer.__base__, "on_connection_error_after_connected", broken)
    consumer = Consumer.__new__(Consumer)
    consumer.on_connection_error_after_connected(OSError())
