"""Export slots: one a partner, released however the answer ends, and taken from readers that are too slow."""

import threading
import time
from contextlib import ExitStack, suppress

import pytest
from django.db import connection
from psycopg import OperationalError

from conftest import wait_until
from external_api.frontdoor import export_slots
from external_api.frontdoor.errors import Unavailable
from external_api.frontdoor.export_slots import MIN_RATE, RATE_WINDOW, STAFF, ReaderTooSlow, ReadRate, Slot
from external_api.frontdoor.exports import CHUNK, Export, file_body, stream

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = "SELECT row_to_json(each) FROM (SELECT generate_series(1, 3) AS n) AS each"
HUGE = "SELECT row_to_json(each) FROM (SELECT repeat('x', 1000) AS x, generate_series(1, 100000) AS n) AS each"
"""100 MB."""


def body(ended, sql=ROWS, owner="7"):
    return stream(
        Export(sql, owner=owner), head=b"[", tail=lambda count: b"]%d" % count, done=lambda: ended.append(True)
    )


def is_free(owner="7"):
    try:
        Slot(owner).release()
    except Unavailable:
        return False
    return True


def copies():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY (%%' AND state <> 'idle'")
        return cursor.fetchone()[0]


def test_a_body_read_to_its_end_releases_its_slot():
    ended = []
    assert b"".join(body(ended)).endswith(b"]3")
    assert (ended, is_free()) == ([True], True)


def test_a_client_that_disconnects_in_the_middle_releases_its_slot():
    ended = []
    answer = body(ended)
    reading = iter(answer)
    assert next(reading) == b"["
    assert not is_free()
    answer.close()
    answer.close()
    assert (ended, is_free()) == ([True], True)


def test_a_body_that_is_never_read_releases_its_slot():
    ended = []
    body(ended).close()
    assert (ended, is_free()) == ([True], True)


def test_a_body_that_breaks_releases_its_slot():
    ended = []
    with pytest.raises(Exception, match="division by zero"):
        b"".join(body(ended, ROWS.replace("(1, 3)", "(0, 3)") + " WHERE 1 / n > 0"))
    assert (ended, is_free()) == ([True], True)


def test_one_export_a_partner_and_one_for_all_staff(settings):
    settings.WEB_THREADS = 8
    with ExitStack() as stack:
        for owner in ("7", "8", STAFF):
            stack.callback(Slot(owner).release)
        assert [is_free(owner) for owner in ("7", "8", STAFF, "9")] == [False, False, False, True]
    assert [is_free(owner) for owner in ("7", "8", STAFF, "9")] == [True] * 4


def test_the_slot_holds_against_another_process():
    """Another connection, as another process has it, holds the partner's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('export:7', 0))")
        try:
            assert (is_free("7"), is_free("8")) == (False, True)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended('export:7', 0))")


def test_exports_take_at_most_half_of_the_threads(settings):
    settings.WEB_THREADS = 4
    slots = [Slot("1"), Slot("2")]
    assert not is_free("3")
    slots.pop().release()
    assert is_free("3")
    slots.pop().release()
    settings.WEB_THREADS = 1
    assert is_free("1")


def test_a_reader_that_stops_after_1_kb_of_100_mb_loses_its_slot_within_15_seconds():
    """The reader holds the generator as a server does whose buffer is full: it never asks for the next chunk."""
    ended = []
    answer = body(ended, HUGE)
    reading = iter(answer)
    next(reading), next(reading)
    began = time.monotonic()
    assert wait_until(is_free, 15)
    assert time.monotonic() - began > RATE_WINDOW - 1
    assert wait_until(lambda: copies() == 0, 2), "PostgreSQL's session of it has ended too"
    with pytest.raises((ReaderTooSlow, OperationalError)):  # whichever notices first
        sum(map(len, reading))
    assert ended == [True]
    answer.close()


def test_a_reader_that_never_begins_loses_its_slot_too(monkeypatch):
    monkeypatch.setattr(export_slots, "RATE_WINDOW", 1.0)
    answer = body([])
    assert not is_free()
    assert wait_until(is_free, 4)
    answer.close()


def test_a_slow_reader_ends_no_other_export_and_keeps_its_thread_counted(monkeypatch, settings):
    settings.WEB_THREADS = 4
    monkeypatch.setattr(export_slots, "RATE_WINDOW", 1.0)
    reading = iter(body([], HUGE))
    next(reading), next(reading)
    assert b"".join(body([], owner="8")).endswith(b"]3")
    assert wait_until(is_free, 4)
    other = Slot("8")
    assert not is_free("9"), "the thread is still in the server's hands"
    other.release()
    with suppress(Exception):
        reading.close()
    assert is_free("9")


def test_a_reader_that_is_fast_enough_keeps_its_slot(monkeypatch):
    monkeypatch.setattr(export_slots, "RATE_WINDOW", 0.5)
    answer = body([], HUGE.replace("100000", "2000"))
    for _ in answer:
        time.sleep(0.05)  # 64 KB each: 1.3 MB a second
    assert is_free()


def test_an_export_ends_after_its_maximum_duration(monkeypatch):
    monkeypatch.setattr(export_slots, "MAX_DURATION", 0.5)
    reading = iter(body([], HUGE))
    with pytest.raises((ReaderTooSlow, OperationalError)):
        sum(map(lambda _: time.sleep(0.01) or 0, reading))
    assert is_free()


def test_twenty_parallel_requests_get_one_slot(settings):
    settings.WEB_THREADS = 64
    got, lock = [], threading.Barrier(20)

    def ask():
        lock.wait()
        with suppress(Unavailable):
            got.append(Slot("7"))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(got) == 1
    got[0].release()


def test_a_file_made_whole_is_measured_too(tmp_path):
    file = (tmp_path / "x").open("w+b")
    file.write(b"a" * (CHUNK + 1))
    answer, size = file_body(file, Slot(STAFF))
    assert (size, len(b"".join(answer))) == (CHUNK + 1, CHUNK + 1)
    assert (file.closed, is_free(STAFF)) == (True, True)


# --- the pace, as arithmetic ---


def read_at_rate(per_second, seconds, *, every=1.0):
    pace, at = ReadRate(), 0.0
    while at <= seconds:
        pace.sent(int(per_second * every), at)
        if pace.is_too_slow(at + every * 0.99):
            return at + every * 0.99
        at += every
        pace.requested(at)
    return None


def test_the_rate_is_that_of_the_last_ten_seconds():
    assert read_at_rate(MIN_RATE * 1.2, 60) is None
    assert read_at_rate(MIN_RATE * 1.2, 60, every=0.01) is None
    assert RATE_WINDOW <= read_at_rate(MIN_RATE / 2, 60) <= RATE_WINDOW + 1
    assert RATE_WINDOW <= read_at_rate(1024, 60, every=0.5) <= RATE_WINDOW + 1


def test_a_burst_counts_for_ten_seconds_and_not_for_longer():
    pace = ReadRate()
    pace.sent(10**9, 0.0)
    assert not pace.is_too_slow(RATE_WINDOW - 0.1)
    assert pace.is_too_slow(RATE_WINDOW + 0.1)


def test_time_in_which_postgresql_works_is_not_the_reader_s():
    pace = ReadRate()
    pace.sent(1, 0.0)
    pace.requested(0.5)
    assert not pace.is_too_slow(100.0)
