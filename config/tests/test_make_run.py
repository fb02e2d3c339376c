"""`make run`: starts everything, reports an obstacle in one sentence, and leaves no process behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from config.tests.conftest import postmaster, processes_of, python, soon


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


class Run:
    """A `make run` whose output is read as it comes."""

    def __init__(self, data: Path, port: int) -> None:
        self.process = python("-m", "config.run", DATA_DIR=str(data), PORT=str(port), WEB_WORKERS="1")
        self.port = port
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def has_said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    def until_ready(self) -> None:
        soon(lambda: self.has_said("Aval is ready") or self.process.poll() is not None, 60)
        assert self.process.poll() is None, "".join(self.lines)

    def answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/v1/api/status"
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.status == 200

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(40)
        self.reader.join(20)  # to the end of what its children say, too
        assert not self.reader.is_alive()
        return code


@contextmanager
def aval(data: Path, port: int) -> Iterator[Run]:
    run = Run(data, port)
    try:
        run.until_ready()
        yield run
    finally:
        run.end(signal.SIGKILL)
        run.process.stdout.close()


def start_error(data: Path, **environment: str) -> str:
    """Output of a start that fails, which must be one line with exit code 1."""
    done = python("-m", "config.run", DATA_DIR=str(data), **environment)
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 1, said
    assert said.count("\n") == 1, said
    return said


def leader(data: Path, words: str) -> int:
    """The process that leads its group among those of a program."""
    return next(pid for pid, line in processes_of(data).items() if words in line and os.getpgid(pid) == pid)


def test_from_the_first_start_through_every_kill_to_ctrl_c(data, port):
    with aval(data, port) as run:
        assert run.answers()
        again = python("-m", "config.run", DATA_DIR=str(data), PORT=str(port))
        assert again.communicate()[0].startswith("aval: Aval is already running on the data folder")
        assert f"Port {port} is in use" in start_error(data / "other", PORT=str(port))

        os.kill(leader(data, "config.webserver"), signal.SIGKILL)  # its workers still have the port
        soon(lambda: run.has_said("web ended (SIGKILL); starting it again"))
        soon(run.answers)
        os.kill(postmaster(data), signal.SIGKILL)
        soon(run.answers)
        assert not any(line.startswith("Traceback") for line in run.lines)

        os.kill(leader(data, "config.webserver"), signal.SIGKILL)  # and nobody is left to end its workers
        run.end(signal.SIGKILL)
        with aval(data, port) as following:
            assert following.answers()
            assert following.end(signal.SIGINT) == 0
            assert processes_of(data) == {}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PORT": "80x"}, "PORT must be a whole number from 1 to 65535, not '80x'."),
        ({"PORT": "70000"}, "PORT must be a whole number"),
        ({"HOST": "192.0.2.1"}, "HOST=192.0.2.1 cannot be used"),
        ({"WEB_WORKERS": "0"}, "WEB_WORKERS must be a whole number from 1 to 64"),
        ({"SANDBOX": "perhaps"}, "SANDBOX must be true or false"),
        ({"DATABASE_URL": "postgres://a:secret@127.0.0.1:1/a"}, "PostgreSQL does not answer at DATABASE_URL"),
        ({"REDIS_URL": "redis://:secret@127.0.0.1:1/0"}, "Redis does not answer at REDIS_URL"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_obstacle_is_reported_in_one_sentence(data, port, environment, said):
    (data / "redis").mkdir()  # the quick one of the two servers is all that some of these start
    given = {"DATABASE_URL": "postgres://a@127.0.0.1:1/a", "PORT": str(port)} | environment
    message = start_error(data, **given)
    assert said in message
    assert "secret@" not in message


def test_a_killed_make_ends_everything(data, port, tmp_path):
    makefile = tmp_path / "Makefile"
    makefile.write_text("run:\n\t@exec $(COMMAND)\n")
    words = [f"COMMAND={sys.executable} -m config.run", "-f", str(makefile), "run"]
    environment = {**os.environ, "DATA_DIR": str(data), "PORT": str(port)}
    make = subprocess.Popen(["make", *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    soon((data / "locks" / "run").exists)
    make.kill()
    make.wait()
    soon(lambda: not processes_of(data))
