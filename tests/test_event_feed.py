"""Feed of partner events: their order, pages, cursors, what retention removes, a restored database, and no gaps.

The feed waits for the oldest transaction of the whole server, so these tests are not among those of the apps: eight
processes test those over one server, each in a transaction.
"""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from clients import retention
from clients.events import feed, restore, sql, watch
from clients.events.feed import Cursor, CursorGone, NotACursor
from clients.events.models import EventEpoch, EventType, PartnerEvent, PrunedEvents
from clients.events.writing import write_event
from conftest import wait_until
from messaging.masking import masked
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
SENT, VERIFIED = EventType.VERIFICATION_SENT, EventType.VERIFICATION_VERIFIED


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch):
    monkeypatch.setattr(watch, "_logged", {})


@pytest.fixture
def partner():
    return PartnerFactory()


def address(**changes):
    """Where the test database is, for a connection of its own."""
    params = {**connection.get_connection_params(), **changes}
    return {key: params[key] for key in ("host", "port", "user", "password", "dbname") if params.get(key)}


@pytest.fixture
def other_session():
    """A further connection, whose transaction a test begins and ends."""
    with psycopg.connect(**address(), autocommit=False) as found:
        yield found
        found.rollback()


@pytest.fixture
def other_database():
    """A connection to another database of the same server."""
    with psycopg.connect(**address(dbname="postgres"), autocommit=False) as found:
        yield found
        found.rollback()


def write(partner, *subjects, kind=SENT, at=NOW, **data):
    for subject in subjects:
        write_event(partner.pk, kind, subject, data, at=at)


def read(partner, after, **more):
    """A page, once what other tests have begun before its events is over."""
    wait_until(is_settled, seconds=30)
    return feed.read(partner.pk, after, **more)


def is_settled():
    latest = PartnerEvent.objects.order_by("-xid").first()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return latest is None or latest.xid < cursor.fetchone()[0]


def subjects(page):
    return [event.subject for event in page.events]


def insert(session, partner, subject):
    session.execute(
        "INSERT INTO clients_partnerevent (partner_id, type, subject, at, data)"
        " VALUES (%s, 'verification.sent', %s, now(), '{}')",
        [partner.pk, subject],
    )


def test_events_are_read_in_their_order_and_once(partner):
    write(partner, "a", "b", "c", via="S", to="9•• ••• 321")
    first = read(partner, None, limit=2)
    assert (subjects(first), first.up_to_date) == (["a", "b"], False)
    event = first.events[0]
    assert (event.type, event.at, event.data, event.test) == (
        "verification.sent",
        NOW,
        {"via": "S", "to": "9•• ••• 321"},
        False,
    )
    rest = read(partner, first.next, limit=2)
    assert (subjects(rest), rest.up_to_date) == (["c"], True)
    nothing = read(partner, rest.next)
    assert (subjects(nothing), nothing.up_to_date, nothing.next) == ([], True, rest.next)
    write(partner, "d")
    assert subjects(read(partner, nothing.next)) == ["d"]


def test_another_partner_s_events_are_not_in_it(partner):
    write(PartnerFactory(), "theirs")
    write(partner, "ours")
    assert subjects(read(partner, None)) == ["ours"]


def test_a_page_of_some_types_goes_on_behind_what_it_looked_at(partner, monkeypatch):
    monkeypatch.setattr(feed, "SCANNED", 3)
    write(partner, "a", "b", "c", "d")
    write(partner, "x", kind=VERIFIED)
    write(partner, "e")
    page = read(partner, None, types=[VERIFIED.value])
    assert (subjects(page), page.up_to_date) == ([], False), "three were looked at, and none is of the type"
    page = read(partner, page.next, types=[VERIFIED.value])
    assert (subjects(page), page.up_to_date) == (["x"], False)
    page = read(partner, page.next, types=[VERIFIED.value])
    assert (subjects(page), page.up_to_date) == ([], True)


def test_a_cursor_of_an_empty_feed_serves_later(partner):
    page = read(partner, None)
    assert (subjects(page), page.up_to_date, page.next.is_start) == ([], True, False)
    write(partner, "a")
    assert subjects(read(partner, page.next)) == ["a"]


def test_what_commits_later_with_a_lower_place_is_not_lost(partner, other_session):
    insert(other_session, partner, "slow")
    write(partner, "quick")
    held_up = feed.read(partner.pk, None)
    assert (subjects(held_up), held_up.up_to_date) == ([], True), "the slow one may still come before it"
    other_session.commit()
    assert subjects(read(partner, held_up.next)) == ["slow", "quick"]


def test_what_is_rolled_back_is_in_no_page(partner, other_session):
    insert(other_session, partner, "never")
    write(partner, "a")
    other_session.rollback()
    assert subjects(read(partner, None)) == ["a"]


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b", "é", "=" * 4, "MDEyMzQ1Njc4OWFiY2RlZi4x", "0" * 5000, str(Cursor("0" * 16, 2**64, 1)), "\x00"],
)
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(NotACursor):
        Cursor.read(text)


def test_a_cursor_is_read_as_it_was_written():
    cursor = Cursor("0123456789abcdef", 2**64 - 1, 2**63 - 1)
    assert Cursor.read(str(cursor)) == cursor


def prune(at):
    rule = next(each for each in retention.RULES if each.name == "events")
    while rule.batch(at=at):
        pass


def test_a_cursor_before_what_retention_removed_is_gone_and_one_behind_it_serves(partner):
    write(partner, "a", "b", at=NOW - timedelta(days=31))
    write(partner, "c")
    first = read(partner, None, limit=1)
    second = read(partner, first.next, limit=1)
    prune(NOW)
    assert not PartnerEvent.objects.filter(subject__in="ab").exists()
    with pytest.raises(CursorGone) as gone:
        read(partner, first.next)
    assert subjects(read(partner, gone.value.oldest)) == ["c"]
    assert subjects(read(partner, second.next)) == ["c"], "it had read all that was removed"
    assert subjects(read(partner, None)) == ["c"]


def test_the_place_of_what_was_removed_only_moves_on(partner):
    write(partner, "a", at=NOW - timedelta(days=31))
    write(partner, "b", at=NOW - timedelta(days=33))
    prune(NOW - timedelta(days=2))
    place = PrunedEvents.objects.get(partner=partner).event_id
    prune(NOW)
    assert PrunedEvents.objects.get(partner=partner).event_id == place, "a comes before b"


def test_a_restored_database_gets_new_places_and_no_event_is_lost(partner):
    write(partner, "a", "b")
    old = read(partner, None, limit=1).next
    PartnerEvent.objects.update(xid=2**40)  # as of a server that has run for longer
    assert restore.is_ahead()
    assert subjects(feed.read(partner.pk, None)) == [], "hidden until this server has counted as far"
    renumbered = restore.renumber()
    assert (renumbered.events, restore.is_ahead()) == (2, False)
    with pytest.raises(CursorGone) as gone:
        read(partner, old)
    assert gone.value.oldest.epoch == renumbered.epoch != old.epoch
    write(partner, "c")
    assert subjects(read(partner, gone.value.oldest)) == ["a", "b", "c"]


def test_the_command_renumbers_where_it_is_needed_and_only_there(partner, capsys):
    write(partner, "a")
    call_command("renumber_events")
    assert "nothing to do" in capsys.readouterr().out
    PartnerEvent.objects.update(xid=2**40)
    call_command("renumber_events")
    assert "1 events have new places" in capsys.readouterr().out
    assert subjects(read(partner, None)) == ["a"]


def test_a_restored_database_is_in_the_log(partner, caplog):
    write(partner, "a")
    watch.check(at=NOW)
    assert "restored" not in caplog.text
    PartnerEvent.objects.update(xid=2**40)
    watch.check(at=NOW)
    assert "run manage.py renumber_events" in caplog.text


def test_what_holds_the_feed_up_is_in_the_log_with_its_process(partner, other_session, caplog, monkeypatch):
    other_session.execute("SELECT pg_current_xact_id()")
    pid = other_session.info.backend_pid
    assert wait_until(lambda: (found := watch.oldest_writer(at=NOW)) is not None and found.pid == pid, seconds=30)
    watch.check(at=NOW)
    assert "holds the feed of events up" not in caplog.text, "it is young"
    monkeypatch.setattr(watch, "LATE_SECONDS", 0)
    watch.check(at=NOW)
    (record,) = [each for each in caplog.records if "holds the feed of events up" in each.message]
    assert (record.pid, record.database) == (pid, connection.settings_dict["NAME"])


def test_a_hidden_age_counts_from_the_first_look(monkeypatch, caplog):
    """PostgreSQL hides it from a role without pg_read_all_stats (tests/test_run_role.py has a real one)."""
    monkeypatch.setattr(watch.restore, "is_ahead", lambda: False)
    for second, transaction_id in ((0, "99"), (9, "99"), (12, "99"), (15, "100"), (24, "100")):
        monkeypatch.setattr(sql, "OLDEST_WRITER", f"SELECT NULL::float, 7, 'aval', '{transaction_id}'")
        watch.check(at=NOW + timedelta(seconds=second))
    (record,) = [each for each in caplog.records if "holds the feed of events up" in each.message]
    assert (record.pid, record.seconds) == (7, 12.0)


def test_what_is_still_so_is_logged_once_a_minute_however_often_it_is_looked_at(partner, caplog):
    write(partner, "a")
    PartnerEvent.objects.update(xid=2**40)
    for second in range(0, 121, 3):
        watch.check(at=NOW + timedelta(seconds=second))
    assert caplog.text.count("run manage.py renumber_events") == 3


def test_another_transaction_that_holds_the_feed_up_is_logged_at_once(monkeypatch, caplog):
    monkeypatch.setattr(watch.restore, "is_ahead", lambda: False)
    for second, pid in ((0, 7), (3, 8), (6, 7), (9, 8)):
        monkeypatch.setattr(watch, "oldest_writer", lambda pid=pid, **_: watch.OldestWriter(12.0, pid, "aval"))
        watch.check(at=NOW + timedelta(seconds=second))
    assert [each.pid for each in caplog.records if "holds the feed of events up" in each.message] == [7, 8]


def test_a_transaction_of_another_database_delays_events_and_loses_none(partner, other_database, caplog, monkeypatch):
    write(partner, "before")
    place = read(partner, None).next
    other_database.execute("SELECT pg_current_xact_id()")
    pid = other_database.info.backend_pid
    assert wait_until(lambda: (found := watch.oldest_writer(at=NOW)) is not None and found.pid == pid, seconds=30)
    write(partner, "a", "b")
    late = feed.read(partner.pk, place)
    assert (subjects(late), late.up_to_date) == ([], True)
    monkeypatch.setattr(watch, "LATE_SECONDS", 0)
    watch.check(at=NOW)
    (record,) = [each for each in caplog.records if "holds the feed of events up" in each.message]
    assert (record.pid, record.database) == (pid, "postgres")
    other_database.rollback()
    assert subjects(read(partner, late.next)) == ["a", "b"]


def test_a_database_that_was_not_restored_is_not_ahead(partner):
    assert not restore.is_ahead()
    write(partner, "a")
    assert not restore.is_ahead()


def test_there_is_one_epoch(partner):
    read(partner, None)
    read(partner, None)
    with pytest.raises(IntegrityError):
        EventEpoch.objects.create(id=2, epoch="0" * 16)


def test_an_event_of_nobody_is_not_written():
    write_event(None, SENT, "a", {}, at=NOW)
    assert not PartnerEvent.objects.exists()


def test_data_over_four_kilobytes_is_refused(partner):
    with pytest.raises(ValueError, match="too large"):
        write(partner, "a", text="ñ" * 2100)


DESTINATIONS = [
    *(("S", each) for each in ("987654321", "+51987654321", "51987654321", "0987654321", "12345678", "123456", "")),
    *(("W", each) for each in ("987654321", "+50255512345", "9876543210")),
    *(("C", each) for each in ("juan@dominio.com", "ñ@dominio.com", '"a@b"@dominio.com', "@dominio.com", "juan", "")),
]


@pytest.mark.parametrize(("via", "destination"), DESTINATIONS)
def test_statements_mask_a_destination_as_python_does(via, destination):
    expression = sql.masked("%(via)s::text", "%(destination)s::text")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}", {"via": via, "destination": destination})
        assert cursor.fetchone()[0] == masked(via, destination)


WRITERS, EVENTS = 8, 50_000


def write_much(params, partner_id, number, written):
    """Commit events in transactions of one to fifty, some of them slow."""
    chance = random.Random(number)
    with psycopg.connect(**params, autocommit=False) as session:
        while len(written) < EVENTS // WRITERS:
            count = chance.randrange(1, 50)
            rows = session.execute(
                "INSERT INTO clients_partnerevent (partner_id, type, subject, at, data)"
                " SELECT %s, 'message.sent', %s, now(), '{}' FROM generate_series(1, %s) RETURNING id",
                [partner_id, f"{number}", count],
            ).fetchall()
            if chance.random() < 0.2:
                time.sleep(chance.random() * 0.03)
            if chance.random() < 0.05:
                session.rollback()
                continue
            session.commit()
            written += [row[0] for row in rows]


def by_feed(partner_id, place):
    page = feed.read(partner_id, place)
    return [event.id for event in page.events], page.next


def by_id(partner_id, place):
    newer = PartnerEvent.objects.filter(partner=partner_id, id__gt=place or 0).order_by("id")
    found = list(newer.values_list("id", flat=True)[:1000])
    return found, found[-1] if found else place


def read_while_they_write(partner, read):
    """What is read while eight write, and what they have written."""
    written = [[] for _ in range(WRITERS)]
    writers = [
        threading.Thread(target=write_much, args=(address(), partner.pk, number, written[number]))
        for number in range(WRITERS)
    ]
    for each in writers:
        each.start()
    place, got = None, []
    while True:
        are_over = not any(each.is_alive() for each in writers) and is_settled()
        found, place = read(partner.pk, place)
        got += found
        if are_over and not found:
            return got, [each for part in written for each in part]


def test_eight_writers_with_slow_commits_lose_nothing_and_nothing_is_read_twice(partner):
    got, written = read_while_they_write(partner, by_feed)
    assert len(written) >= EVENTS
    assert len(got) == len(set(got)), "twice"
    assert set(got) == set(written), "lost, or read before its commit"


def test_a_cursor_by_id_would_lose_events(partner):
    got, written = read_while_they_write(partner, by_id)
    assert set(written) - set(got), "then the test above shows nothing"


def test_the_feed_goes_on_when_the_oldest_transaction_ends(partner, other_session):
    other_session.execute("SELECT pg_current_xact_id()")
    write(partner, "a")
    assert subjects(feed.read(partner.pk, None)) == []
    other_session.rollback()
    assert subjects(read(partner, None)) == ["a"]


def test_an_event_is_written_with_its_change_or_not_at_all(partner):
    with transaction.atomic():
        write(partner, "a", at=timezone.now())
        transaction.set_rollback(True)
    assert not PartnerEvent.objects.exists()
