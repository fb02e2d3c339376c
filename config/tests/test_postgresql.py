"""Health check of a persistent connection: no round trip, and a broken connection is replaced."""

import os
import socket
from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper as DjangosWrapper

from config.run.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wrapper() -> Iterator[DjangosWrapper]:
    """A connection of our own, which the test may break."""
    copy = connection.copy()
    yield copy
    copy.close()


def _serve_a_request(wrapper: DjangosWrapper) -> int:
    """As at the beginning of a request; returns the id of the server's process."""
    wrapper.close_if_unusable_or_obsolete()
    wrapper.health_check_done = False
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_quiet_connection_is_kept_and_asked_nothing(wrapper: DjangosWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _serve_a_request(wrapper)
    asked: list[object] = []
    monkeypatch.setattr(DjangosWrapper, "is_usable", asked.append)
    assert _serve_a_request(wrapper) == first
    assert not asked


def test_a_connection_that_the_server_ended_is_replaced(wrapper: DjangosWrapper) -> None:
    first = _serve_a_request(wrapper)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [first])
    assert wait_until(lambda: not wrapper._is_quiet(), 10), "the end has arrived here"
    assert _serve_a_request(wrapper) != first


def test_a_connection_that_broke_without_a_word_is_replaced(wrapper: DjangosWrapper) -> None:
    first = _serve_a_request(wrapper)
    with socket.socket(fileno=os.dup(wrapper.connection.pgconn.socket)) as same:
        same.shutdown(socket.SHUT_RDWR)
    assert _serve_a_request(wrapper) != first


def test_a_connection_that_has_something_to_say_is_asked(wrapper: DjangosWrapper) -> None:
    """A notice of the server is no end: `SELECT 1` reads it, and the connection stays."""
    first = _serve_a_request(wrapper)
    with wrapper.cursor() as cursor:
        cursor.execute("LISTEN news")
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY news")
    assert wait_until(lambda: not wrapper._is_quiet(), 10)
    assert _serve_a_request(wrapper) == first
    assert wrapper._is_quiet()
