"""Settings of metrics, and the command of their own port."""

import pytest

from config.monitoring import alarm_secret, alarm_url, metrics_token
from config.run.programs import METRICS_THREADS, enabled_programs, metrics_command
from config.variables import StartError
from metrics.management.commands import serve_metrics


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


def test_the_process_runs_where_it_has_something_to_do(monkeypatch):
    for name in ("METRICS_PORT", "ALARM_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "metrics" not in enabled_programs()
    with pytest.raises(StartError, match="METRICS_PORT"):
        metrics_command()
    monkeypatch.setenv("ALARM_URL", "https://alarms.example.com/")
    assert "metrics" in enabled_programs()
    assert metrics_command()[-1] == "serve_metrics"
    monkeypatch.setenv("METRICS_PORT", "9105")
    assert metrics_command()[-1] == "9105"


@pytest.mark.parametrize("url", ["alarms.example.com", "ftp://x/", "https://"])
def test_a_url_that_is_none_stops_the_start(monkeypatch, url):
    monkeypatch.setenv("ALARM_URL", url)
    with pytest.raises(StartError, match="ALARM_URL"):
        alarm_url()


@pytest.mark.parametrize("secret", ["", "x", "whsec_", "whsec_short", "whsec_" + "A" * 200, "A" * 44])
def test_alarms_are_never_sent_without_a_secret_to_sign_them(monkeypatch, secret):
    monkeypatch.setenv("ALARM_URL", "https://alarms.example.com/")
    monkeypatch.setenv("ALARM_SECRET", secret)
    with pytest.raises(StartError, match="ALARM_SECRET"):
        alarm_secret()
    monkeypatch.setenv("ALARM_SECRET", "whsec_" + "A" * 44)
    assert alarm_secret()


def test_the_formula_of_connections_knows_the_threads_that_answer_scrapes():
    """No app imports config, so the number stands twice."""
    assert serve_metrics.THREADS == METRICS_THREADS
