"""The heartbeat of the process for SMPP: of each bind, in a session and while it waits for the next one."""

import socket
from dataclasses import replace

import pytest

from clients import heartbeat
from messaging.tests.smsc import FAST, gateway_at, serve, smsc

pytestmark = pytest.mark.django_db


@pytest.fixture
def beats(monkeypatch):
    """The kinds of work that were noted."""
    seen = []
    monkeypatch.setattr(heartbeat, "did", seen.append)
    return seen


def test_a_bound_session_is_work(settings, beats):
    def script(peer):
        peer.accept_bind()
        peer.keep_alive()

    with smsc(script) as port:
        gateway = gateway_at(port, settings)
        serve(gateway, lambda: len(beats) > 3)
    assert set(beats) == {gateway.name}


def test_a_bind_that_finds_no_smsc_is_at_work_too(settings, beats):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gateway = gateway_at(port, settings)
    serve(gateway, lambda: len(beats) > 2, replace(FAST, first_backoff=0.05, max_backoff=0.1))
    assert set(beats) == {gateway.name}
