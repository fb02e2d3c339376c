"""Settings of metrics, and the command of their own port."""

import pytest

from config.monitoring import metrics_token
from config.run.programs import enabled_programs, metrics_command
from config.variables import StartError


@pytest.mark.parametrize("token", ["short", "with blank in it 0123456789", "ñandú0123456789abcdef"])
def test_a_weak_or_unreadable_token_stops_the_start(monkeypatch, token):
    monkeypatch.setenv("METRICS_TOKEN", token)
    with pytest.raises(StartError, match="METRICS_TOKEN"):
        metrics_token()


def test_a_token_is_read(monkeypatch):
    assert metrics_token() == ""
    monkeypatch.setenv("METRICS_TOKEN", "0123456789abcdef")
    assert metrics_token() == "0123456789abcdef"


def test_the_port_is_of_this_machine_alone_unless_said_otherwise(monkeypatch):
    monkeypatch.setenv("METRICS_PORT", "9105")
    assert metrics_command()[-4:] == ["--host", "127.0.0.1", "--port", "9105"]
    monkeypatch.setenv("METRICS_HOST", "10.0.0.7")
    assert metrics_command()[-4:] == ["--host", "10.0.0.7", "--port", "9105"]


def test_without_a_port_the_program_does_not_run(monkeypatch):
    monkeypatch.delenv("METRICS_PORT", raising=False)
    assert "metrics" not in enabled_programs()
    with pytest.raises(StartError, match="METRICS_PORT"):
        metrics_command()
    monkeypatch.setenv("METRICS_PORT", "9105")
    assert "metrics" in enabled_programs()
