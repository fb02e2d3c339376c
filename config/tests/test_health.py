"""`config.run health PROGRAM`: by the age of what the program's processes on this machine last did."""

import json
import os
import subprocess
import sys
import time

import pytest

from clients import heartbeat
from clients.heartbeat import Heartbeat
from config.run import __main__ as run
from config.run import health
from config.run.programs import COMMANDS
from config.variables import BASE_DIR, StartError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(health, "_servers_away", list)
    return tmp_path / "health"


@pytest.fixture
def started(folder):
    """Start a heartbeat, as in a process of its own."""
    made = []

    def start(program, *kinds):
        made.append(Heartbeat(folder, program, kinds))
        return made[-1]

    yield start
    for each in made:
        each.close()


def later(seconds):
    return time.monotonic() + seconds


def test_every_program_has_a_health():
    assert {*health.LIMITS, "web"} == set(COMMANDS)


def test_a_program_that_works_is_healthy(started):
    started("worker", "loop")
    assert health.check("worker", at=later(29)) == "worker is healthy (1 process)."


def test_one_whose_loop_stands_still_is_not(started):
    started("worker", "loop")
    with pytest.raises(StartError, match=rf"^worker: process {os.getpid()} did its last loop 31 s ago\.$"):
        health.check("worker", at=later(31))


def test_a_periodic_without_sweeps_is_not_healthy_though_its_loop_runs(started):
    mine = started("periodic", "loop", "task")
    mine._done["task"] -= 31
    mine.did("loop")
    mine._write(0)
    with pytest.raises(StartError, match="last task 31 s ago"):
        health.check("periodic")
    mine.did("task")
    mine._write(0)
    assert "healthy" in health.check("periodic")


@pytest.mark.parametrize(("program", "seconds"), [("worker", 60), ("bulk", 1200)])
def test_a_task_that_does_not_end_makes_it_unhealthy(started, program, seconds):
    mine = started(program, "loop")
    mine.began("one")
    mine.began("two")
    mine._running["one"] -= seconds - 1
    mine._write(0)
    assert "healthy" in health.check(program)
    mine._running["one"] -= 3
    mine._write(0)
    with pytest.raises(StartError, match=f"at one task for {seconds + 2} s"):
        health.check(program)
    mine.ended("one")
    mine._write(0)
    assert "healthy" in health.check(program)


def test_each_of_several_processes_must_do_its_work(started):
    started("bulk", "loop")
    other = started("bulk", "loop")
    assert health.check("bulk") == "bulk is healthy (2 processes)."
    other._done["loop"] -= 40
    other._write(0)
    with pytest.raises(StartError, match=r"^bulk: process \d+ did its last loop 40 s ago\.$"):
        health.check("bulk")
    started("worker", "loop")
    assert "healthy" in health.check("worker"), "another program's fault is not ours"


def test_without_a_process_it_is_not_healthy(folder):
    with pytest.raises(StartError, match=r"^no process of beat runs with DATA_DIR="):
        health.check("beat")


def test_what_a_killed_process_left_behind_does_not_count_and_is_removed(started, folder):
    started("worker", "loop")
    left = folder / "worker.1.abc"
    left.write_text(json.dumps({"pid": 1, "done": {"loop": 0.0}, "busy_since": None}))
    assert health.check("worker") == "worker is healthy (1 process)."
    started("beat", "publish")
    assert not left.exists()


def test_while_a_server_is_away_nobody_is_restarted_for_it(started, monkeypatch):
    started("beat", "publish")
    monkeypatch.setattr(health, "_servers_away", lambda: ["the broker"])
    assert health.check("beat", at=later(100)) == "beat waits for the broker, which does not answer."
    monkeypatch.setattr(health, "_servers_away", list)
    with pytest.raises(StartError, match="last publish 100 s ago"):
        health.check("beat", at=later(100))


def test_a_broker_that_answers_is_told_from_one_that_does_not(settings):
    assert health._broker_answers(settings.BROKER_URL)
    assert not health._broker_answers("redis://127.0.0.1:1/0")
    assert not health._broker_answers("amqp://127.0.0.1:1//")


def test_postgresql_is_asked_as_the_processes_ask_it(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://aval@127.0.0.1:1/aval")
    assert not health._database_answers()


def test_a_file_is_written_once_a_second_and_whole(started, folder):
    mine = started("worker", "loop")
    (path,) = folder.iterdir()
    before = path.read_bytes()
    mine.did("loop")
    assert path.read_bytes() == before
    mine._next_write = 0.0
    mine.did("loop")
    mine.did("nonsense")
    after = path.read_bytes()
    assert after != before
    assert len(after) == len(before)
    assert list(heartbeat.live(folder, "worker")[0].done) == ["loop"]


def test_a_folder_that_cannot_be_written_ends_no_process(tmp_path):
    (tmp_path / "health").write_text("a file")
    mine = Heartbeat(tmp_path / "health", "worker", ["loop"])
    mine.did("loop")
    mine.close()


def test_the_command_says_one_line_and_its_exit_code(started, folder, capfd):
    assert run.main(["health", "worker"]) == 1
    assert capfd.readouterr().err == f"aval: no process of worker runs with DATA_DIR={folder.parent}.\n"
    started("worker", "loop")
    assert run.main(["health", "worker"]) == 0
    assert capfd.readouterr().out == "aval: worker is healthy (1 process).\n"
    assert run.main(["health", "nonsense"]) == 1
    assert "say web, worker, periodic" in capfd.readouterr().err


def test_a_healthy_program_costs_neither_django_nor_celery(tmp_path):
    """The check runs every ten seconds for each process."""
    code = f"""
import sys
from pathlib import Path
from clients.heartbeat import Heartbeat
from config.run.__main__ import main

mine = Heartbeat(Path("{tmp_path}/health"), "worker", ["loop"])
assert main(["health", "worker"]) == 0
print([each for each in ("django.conf", "celery", "kombu", "psycopg", "redis") if each in sys.modules])
"""
    given = {**os.environ, "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, env=given, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr
