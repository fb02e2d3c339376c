"""Steps before Django is loaded: servers of management commands, and packages of `make`."""

import runpy
import sys

import pytest

from config import variables, venv
from config.embedded import attach
from config.tests.conftest import python
from config.variables import BASE_DIR, StartError

needs_servers = runpy.run_path(str(BASE_DIR / "manage.py"))["needs_servers"]


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        ("", False),
        ("help migrate", False),
        ("--version", False),
        ("check --deploy", False),
        ("check --database default", True),
        ("collectstatic --noinput", False),
        ("migrate --help", False),
        ("migrate", True),
        ("create_partner ACME --json", True),
    ],
)
def test_commands_that_only_read_code_start_nothing(words, needs):
    assert needs_servers(words.split()) is needs


def test_a_command_that_starts_nothing_leaves_no_trace(data):
    done = python("manage.py", "check", DATA_DIR=str(data / "var"))
    assert "no issues" in done.communicate()[0]
    assert not (data / "var").exists()


def test_a_command_attaches_to_servers_and_keeps_the_secret(data):
    script = "from django.conf import settings; from django.db import connection; connection.ensure_connection(); "
    script += "print(settings.SECRET_KEY)"
    outputs = [python("manage.py", "shell", "--no-imports", "-c", script, DATA_DIR=str(data)).communicate()[0]]
    assert outputs == [(data / "secret_key").read_text()]


def test_given_servers_are_used_and_nothing_embedded_is_imported(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://db/aval")
    monkeypatch.setenv("REDIS_URL", "redis://cache")
    monkeypatch.setitem(sys.modules, "config.embedded.stack", None)  # an import would fail
    with attach.embedded_where_missing() as servers:
        assert servers is None


def test_an_impossible_number_is_refused(monkeypatch):
    monkeypatch.setenv("PORT", "８０")  # digits, but not ours
    with pytest.raises(StartError, match="PORT must be a whole number from 1 to 65535"):
        variables.port()


class TestVenv:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        folder = tmp_path / ".venv"
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / "pyvenv.cfg").write_text("")
        for name, path in (
            ("VENV", folder),
            ("PYTHON", folder / "bin" / "python"),
            ("UNFINISHED", folder / "unfinished"),
        ):
            monkeypatch.setattr(venv, name, str(path))
        return folder

    def test_an_interrupted_installation_is_begun_anew(self, elsewhere):
        assert venv.works()
        (elsewhere / "unfinished").touch()
        assert not venv.works()

    def test_a_python_that_is_gone_is_noticed(self, elsewhere):
        (elsewhere / "bin" / "python").unlink()
        (elsewhere / "bin" / "python").symlink_to("/nowhere/python3")
        assert not venv.works()

    def test_an_old_python_gets_a_clear_message(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "version_info", (3, 9, 2))
        with pytest.raises(SystemExit, match="1"):
            venv.check_python()
        assert capsys.readouterr().err.startswith("aval: Python 3.11 or newer is needed and this is")

    def test_a_missing_ensurepip_names_the_package_to_install(self, elsewhere, monkeypatch, capsys):
        (elsewhere / "python").write_text("#!/bin/sh\necho 'ensurepip is not available' >&2\nexit 1\n")
        (elsewhere / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
        with pytest.raises(SystemExit, match="1"):
            venv.make()
        assert "apt install python3." in capsys.readouterr().err
