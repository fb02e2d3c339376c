"""Feed of partner events after a real `pg_dump` into a fresh PostgreSQL: whatever a reader had, nothing is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from clients.events import feed, restore, watch
from clients.events.feed import Cursor, CursorGone
from clients.events.models import EventEpoch, EventType, PartnerEvent
from clients.events.writing import write_event
from clients.models import Partner
from conftest import NOW, wait_until
from testkit import restoring
from testkit.restoring import FreshServer, connected_to, own_url
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE, AFTER = 40, 1_000
"""Events before the dump, and after it."""
BEHIND = 500
"""Transactions by which the fresh server is behind the last event: it gives ids again that a reader has passed."""
RESTORE_TAKES = 3_000
"""More transactions than a restore takes."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshServer]:
    with restoring.fresh_server(tmp_path_factory.mktemp("fresh")) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_logged", {})


@pytest.fixture
def partner() -> Partner:
    return PartnerFactory.create()


def write(partner: Partner, *subjects: str) -> None:
    for subject in subjects:
        write_event(partner.pk, EventType.VERIFICATION_SENT, subject, {}, at=NOW)


def counted(session: Any) -> int:
    """The id that the server gives to its next transaction."""
    return int(session.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()[0])


def count_up(session: Any, to: int) -> None:
    """Begin and end transactions until the server's count has come to this id."""
    missing = to - counted(session)
    if missing > 0:
        loop = f"FOR each IN 1..{missing} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP"
        session.execute(f"DO $$ BEGIN {loop}; END $$")


class Reader:
    """A partner's program: it keeps its place, and goes on where an answer says."""

    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.place: Cursor | None = None
        self.got: list[str] = []
        self.refused = 0

    def read(self) -> None:
        for _ in range(100):
            try:
                page = feed.read(self.partner.pk, self.place)
            except CursorGone as gone:
                self.place, self.got = gone.oldest, []  # as the guide says: from there, and expect repeats
                self.refused += 1
                continue
            self.got += [event.subject for event in page.events]
            self.place = page.next
            if page.up_to_date:
                return
        raise AssertionError("the reader never comes to the end")


def restored(server: FreshServer, folder: Path, reader: Reader) -> list[str]:
    """Events that were written and read, then dumped and restored; the fresh server is some transactions behind."""
    old, fresh = psycopg.connect(own_url(), autocommit=True), psycopg.connect(server.url, autocommit=True)
    with old, fresh:
        count_up(old, counted(fresh) + RESTORE_TAKES + BEHIND)
        names = [f"before {number}" for number in range(BEFORE)]
        write(reader.partner, *names)
        latest = PartnerEvent.objects.order_by("-xid")[0].xid
        assert wait_until(lambda: reader.read() or len(reader.got) == BEFORE, seconds=30)
        restoring.dump(server, folder)
        restoring.restore(server, folder)
        count_up(fresh, latest - BEHIND)
        assert counted(fresh) < latest, "then the server has nothing to give again"
    return names


@pytest.mark.parametrize("renumbered_after", [0, AFTER // 4, None], ids=["at once", "late", "never"])
def test_after_a_dump_into_a_fresh_server_no_event_is_lost(fresh, partner, tmp_path, caplog, renumbered_after):
    reader = Reader(partner)
    names = restored(fresh, tmp_path, reader)
    with connected_to(fresh.url):
        assert restore.is_ahead()
        old = EventEpoch.objects.get().epoch
        watch.check(at=NOW)
        assert EventEpoch.objects.get().epoch != old, "nobody need read before"
        assert "the database was restored" in caplog.text
        for number in range(AFTER):
            if number == renumbered_after:
                call_command("renumber_events")
            write(partner, f"after {number}")
            names.append(f"after {number}")
            if number % 100 == 50:
                reader.read()
        assert not restore.is_ahead(), "the count has come as far"
        reader.read()
        assert reader.refused, "the cursor of the old server was not served on"
        assert sorted(reader.got) == sorted(names), "lost, or twice"


def test_without_a_new_epoch_events_would_be_lost(fresh, partner, tmp_path):
    """What a reader gets who keeps the place of the old server: the server gives its ids again, below that place."""
    reader = Reader(partner)
    restored(fresh, tmp_path, reader)
    assert reader.place is not None
    with connected_to(fresh.url):
        write(partner, *(f"after {number}" for number in range(AFTER)))
        behind = PartnerEvent.objects.filter(partner=partner, subject__startswith="after", xid__lt=reader.place.xid)
        assert behind.count() > 100, "then the test above shows nothing"
