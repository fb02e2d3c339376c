"""Embedded PostgreSQL and Valkey: shared by their users, stopped after the last one, and safe against any kill."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from environ import Env

from config.embedded.stack import EmbeddedError, Servers, secret_key, stack
from config.run import data_folder
from config.run.processes import holders
from config.tests.conftest import postmaster, processes_of, python, soon


def serve(servers: Servers) -> bool:
    with psycopg.connect(servers.database_url, connect_timeout=3) as connection:
        connection.execute("SELECT 1")
    with redis.Redis.from_url(servers.redis_url) as client:
        return bool(client.ping())


def start_and_stop(data: Path) -> None:
    with stack(data) as servers:
        assert serve(servers)


def watchdog_pid(data: Path, name: str) -> int:
    return int((data / "locks" / f"{name}.keeper").read_text())


@pytest.fixture(scope="module")
def made_once() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="aval-test-", ignore_cleanup_errors=True) as data_folder:
        start_and_stop(Path(data_folder))
        yield Path(data_folder)


@pytest.fixture
def used(made_once) -> Iterator[Path]:
    """A data folder whose first start is over, shared by the tests."""
    yield made_once
    soon(lambda: not processes_of(made_once))


@contextmanager
def another_user(data: Path):
    """Another process that uses the servers of this folder, once they are up."""
    process = python("-m", "config.embedded", "exec", "--", "sh", "-c", "echo up; exec sleep 60", DATA_DIR=str(data))
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        process.kill()
        process.communicate()


# --- sharing -------------------------------------------------------------------------------------------------------


def test_the_urls_lead_everybody_to_the_servers_whatever_the_environment_says(data, monkeypatch):
    # libpq would look for another socket, initdb would stop at a locale that is not installed
    for name, value in (("PGPORT", "7777"), ("PGDATA", "/nowhere"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "xx")):
        monkeypatch.setenv(name, value)
    with stack(data) as servers:
        settings = Env.db_url_config(servers.database_url)
        assert (settings["NAME"], settings["USER"]) == ("aval", "aval_run")
        assert settings["OPTIONS"]["host"] == str(data / "run")
        with psycopg.connect(servers.database_url) as connection:
            row = connection.execute("SELECT current_setting('TimeZone'), upper('ñandú'), current_setting('fsync')")
            assert row.fetchone() == ("UTC", "ÑANDÚ", "on")
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        with redis.Redis.from_url(servers.redis_url, decode_responses=True) as client:
            assert client.config_get("append*")["appendonly"] == "yes"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("port") == {"port": "0"}


def test_the_last_one_out_stops_them_and_the_data_stays(used):
    with another_user(used) as other:
        began = time.monotonic()
        with stack(used) as servers, psycopg.connect(servers.owner_url) as connection:
            assert time.monotonic() - began < 0.5  # to join takes no time
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        assert processes_of(used / "pg")  # the other one still needs them
        other.terminate()
        other.wait()
        assert not processes_of(used / "pg")  # not soon: when the last one has left, they are gone
    with stack(used) as servers, psycopg.connect(servers.owner_url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_several_that_start_at_once_share_one_pair(data):
    failures = []

    def use():
        try:
            start_and_stop(data)
        except Exception as fault:  # noqa: BLE001  the test reports any of them
            failures.append(fault)

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_one_of_the_two_alone(data):
    with stack(data, postgres=False) as servers:
        assert servers.database_url == ""
        assert redis.Redis.from_url(servers.redis_url).ping()
        assert not (data / "pg").exists()


def test_two_data_folders_side_by_side(used, data):
    shutil.copytree(used / "pg", data / "pg")
    with stack(used) as one, stack(data) as other:
        with psycopg.connect(one.owner_url) as connection:
            connection.execute("CREATE TABLE only_here ()")
        with psycopg.connect(other.owner_url) as connection:
            assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)


def test_a_folder_whose_name_is_long_and_odd(used, data):
    data_folder = data / f"a b,ñ'\"%20\\{'x' * 120}"
    shutil.copytree(used / "pg", data_folder / "pg")
    start_and_stop(data_folder)
    first = os.readlink(data_folder / "run")
    assert stat.S_IMODE(os.stat(first).st_mode) == 0o700
    start_and_stop(data_folder)
    assert os.readlink(data_folder / "run") == first
    shutil.rmtree(first)
    start_and_stop(data_folder)  # /tmp was cleaned
    shutil.rmtree(os.readlink(data_folder / "run"))


def test_a_copy_of_a_long_named_folder_has_sockets_of_its_own(data):
    original, copy = data / ("x" * 120), data / ("y" * 120)
    with stack(original, postgres=False) as servers:
        shutil.copytree(original, copy, symlinks=True, ignore=lambda *_: ["locks"])
        with stack(copy, postgres=False) as others:
            assert others.redis_url != servers.redis_url
    for each in (original, copy):
        shutil.rmtree(os.readlink(each / "run"))


def test_root_without_user_namespaces(data, monkeypatch, tmp_path):
    """As in most containers; for a normal user nothing changes."""
    (tmp_path / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    data.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    start_and_stop(data)
    monkeypatch.undo()
    start_and_stop(data)  # the same folder out of the container


# --- kills ---------------------------------------------------------------------------------------------------------


def test_killed_servers_come_back_by_themselves(used):
    with stack(used) as servers:
        os.kill(postmaster(used), signal.SIGKILL)
        valkey = next(pid for pid, words in processes_of(used).items() if "valkey-server" in words)
        os.kill(valkey, signal.SIGKILL)
        soon(lambda: valkey not in processes_of(used) and serve(servers))


def test_a_busy_session_does_not_keep_a_killed_postgres_from_coming_back(used):
    def be_busy():
        with pytest.raises(psycopg.OperationalError), psycopg.connect(servers.database_url) as connection:
            connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")  # never looks whether the postmaster lives

    with stack(used, redis=False) as servers:
        busy = threading.Thread(target=be_busy)
        busy.start()
        with psycopg.connect(servers.database_url, autocommit=True) as watching:
            running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"
            soon(lambda: watching.execute(running).fetchone() == (1,))
        old = postmaster(used)
        os.kill(old, signal.SIGKILL)
        soon(lambda: postmaster(used) != old and psycopg.connect(servers.database_url).close() is None)
        busy.join()


def test_killed_watchdogs_are_restarted(used):
    with stack(used) as servers:
        for name in ("postgres", "redis"):
            os.kill(watchdog_pid(used, name), signal.SIGKILL)
        revived: list[str] = []
        soon(lambda: revived.extend(servers.revive()) or len(revived) == 2)
        assert serve(servers)
        assert servers.revive() == []


def test_a_killed_user_leaves_no_server_and_a_new_one_starts(used):
    with another_user(used) as other:
        for pid in (postmaster(used), watchdog_pid(used, "postgres"), watchdog_pid(used, "redis"), other.pid):
            os.kill(pid, signal.SIGKILL)
        soon(lambda: not processes_of(used))
    start_and_stop(used)


def test_a_first_start_that_was_cut_short_is_made_anew(data):
    other = python("-m", "config.embedded", "exec", "--", "true", DATA_DIR=str(data))
    soon((data / "pg.new").exists)
    other.kill()
    other.communicate()
    start_and_stop(data)


def test_a_number_in_a_stale_pid_file_may_be_somebody_elses(used):
    lines = [str(os.getpid()), str(used / "pg"), "1", "5432", str(used / "run"), "", "0 0", "ready"]
    (used / "pg" / "postmaster.pid").write_text("\n".join(lines))
    (used / "run" / ".s.PGSQL.5432.lock").write_text("\n".join(lines[:5]))
    start_and_stop(used)


# --- faults of the folder ------------------------------------------------------------------------------------------


def with_postgres_data(data: Path, version: str) -> None:
    (data / "pg").mkdir(mode=0o700)
    (data / "pg" / "PG_VERSION").write_text(f"{version}\n")


SPOILT = {
    "another version": (lambda data: with_postgres_data(data, "17"), "made by PostgreSQL 17 and this is PostgreSQL 18"),
    "a part is missing": (lambda data: with_postgres_data(data, "18"), "could not access the server configuration"),
    "a file for PostgreSQL": (lambda data: (data / "pg").write_text(""), "pg is in the way"),
    "something else": (lambda data: (data / "pg" / "else").mkdir(parents=True), "pg is in the way"),
    "a file for Valkey": (lambda data: (data / "redis").write_text(""), "redis is in the way"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_folder_is_reported_in_one_sentence(data, how):
    spoil, expected = SPOILT[how]
    spoil(data)
    with pytest.raises(EmbeddedError, match=expected) as error, stack(data, postgres="Valkey" not in how):
        pass
    assert "\n" not in str(error.value)
    assert not processes_of(data)


def test_a_file_in_place_of_the_folder(data):
    (data / "file").write_text("")
    for path in (data / "file", data / "file" / "below"):
        with pytest.raises(EmbeddedError, match="data folder"), stack(path):
            pass


def test_a_folder_of_another_user(data, monkeypatch):
    secret_key(data)
    monkeypatch.setattr(data_folder.os, "geteuid", lambda: 12345)
    with pytest.raises(EmbeddedError, match=r"belongs to the user .* and you are 12345: run as that user"), stack(data):
        pass


def test_a_folder_deleted_in_use_is_noticed_by_all(data):
    with stack(data / "var", postgres=False) as servers:
        shutil.rmtree(data / "var")
        soon(lambda: not processes_of(data))
        with pytest.raises(EmbeddedError, match="deleted while it was in use"):
            servers.revive()


# --- secret key, exec and locks ------------------------------------------------------------------------------------


def test_the_secret_key_is_made_once_and_read_by_nobody_else(data):
    made: set[str] = set()
    threads = [threading.Thread(target=lambda: made.add(secret_key(data))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(made.pop()) >= 50
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == ["secret_key"]
    (data / "secret_key").write_text("short")
    with pytest.raises(EmbeddedError, match="damaged"):
        secret_key(data)


def test_exec_exports_what_is_missing_and_returns_the_exit_code(data):
    command = 'echo "$DATABASE_URL $REDIS_URL ${#SECRET_KEY}"; exit 7'
    done = python("-m", "config.embedded", "exec", "--", "sh", "-c", command, DATA_DIR=str(data), DATABASE_URL="given")
    output, _ = done.communicate()
    assert done.returncode == 7
    database_url, redis_url, length = output.split()
    assert database_url == "given"
    assert redis_url == f"unix://{data}/run/redis.sock?db=0"
    assert int(length) >= 50
    assert not (data / "pg").exists()


def test_the_holders_of_an_open_file_are_found(data):
    held = data / "held"
    held.touch()
    assert holders(held) == []
    with held.open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as process:
        assert holders(held) == [process.pid]
        process.kill()


def test_watchdogs_sleep_while_nothing_happens(data: Path) -> None:
    """A signal (the end of a child) must wake a watchdog only once: it used half a processor before."""

    def seconds_burnt() -> float:
        ticks = 0
        for name in ("postgres", "redis"):
            fields = Path(f"/proc/{watchdog_pid(data, name)}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    with stack(data):
        for name in ("postgres", "redis"):
            os.kill(watchdog_pid(data, name), signal.SIGCHLD)
        before = seconds_burnt()
        time.sleep(1)
        assert seconds_burnt() - before < 0.2
