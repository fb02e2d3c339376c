"""A real `pg_dump` in mid-campaign, restored into a fresh PostgreSQL after the campaign went on: with `manage.py
after_restore` nobody is mailed twice, and who was erased after the backup is erased again."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from clients.events import restore
from clients.events.models import EventEpoch
from clients.models import Applicant, AuditEntry, AuthorizedClient
from conftest import NOW
from messaging.campaigns import lifecycle
from messaging.models import Campaign, Message, MessageEvent
from messaging.tests.campaign_steps import campaign, launch
from staff.models import ResetRequest
from support.cases.actions import Agent
from support.privacy import erasure
from support.restore import after_restore
from support.tests.privacy_cast import ANA, LUZ, everywhere
from testkit import restoring
from testkit.restoring import FreshServer, connected_to
from tests.campaign_under_way import BEFORE, CLIENTS, begin, go_on, record_mails, times_mailed
from tests.factories import AuthorizedClientFactory, EndpointFactory, MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshServer]:
    with restoring.fresh_server(tmp_path_factory.mktemp("fresh")) as server:
        yield server


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    return record_mails(monkeypatch)


@pytest.fixture
def under_way(mails: list[Message], monkeypatch: pytest.MonkeyPatch) -> Campaign:
    return begin(mails, monkeypatch)


def rows(text: str) -> dict[str, int]:
    """The table that the command prints."""
    cells = [line.rsplit(maxsplit=1) for line in text.splitlines()]
    return {each[0].strip(): int(each[1]) for each in cells if len(each) == 2 and each[1].isdigit()}


def after(capsys: Any, *words: str) -> dict[str, int]:
    call_command("after_restore", *words)
    return rows(capsys.readouterr().out)


def restored_after_it_went_on(server: FreshServer, folder: Path, mails: list[Message]) -> None:
    restoring.dump(server, folder)
    go_on()
    assert len(mails) == CLIENTS, "the campaign has ended"
    restoring.restore(server, folder)


def test_nobody_is_mailed_twice(fresh, under_way, mails, tmp_path, capsys):
    restored_after_it_went_on(fresh, tmp_path, mails)
    with connected_to(fresh.url):
        done = after(capsys)
        assert done["campaigns paused"] == 1
        assert done["mails cancelled"] == BEFORE
        go_on()
        assert set(times_mailed(mails).values()) == {1}
        one = Campaign.objects.get(pk=under_way.pk)
        assert (one.state, one.restored_at is None) == ("PAUSED", False)
        events = MessageEvent.objects.filter(message__campaign=one, state="CANCELLED")
        assert {each.detail for each in events} == {"la base fue restaurada de un respaldo"}
        entry = AuditEntry.objects.get(action="campaign.paused")
        assert (entry.actor, entry.reason) == ("after_restore", "la base fue restaurada de un respaldo")
        lifecycle.resume(one, by="ana", at=timezone.now(), reason="el registro del proveedor dice que no salieron")
        go_on()
        twice = {email for email, times in times_mailed(mails).items() if times > 1}
        assert len(twice) == CLIENTS - 2 * BEFORE, "those who had no row in the backup: staff was asked"


def test_without_it_people_are_mailed_twice(fresh, under_way, mails, tmp_path):
    restored_after_it_went_on(fresh, tmp_path, mails)
    with connected_to(fresh.url):
        go_on()
        assert Counter(times_mailed(mails).values()) == {1: BEFORE, 2: CLIENTS - BEFORE}


def test_what_else_may_have_left_is_set_aside_and_codes_are_not_touched(fresh, mails, tmp_path, capsys):
    at = timezone.now()
    scheduled, paused, draft = campaign(), campaign(), campaign()
    lifecycle.schedule(scheduled, begins=at + timedelta(days=1), by="ana", at=at)
    launch(paused)
    lifecycle.pause(paused, by="ana", at=at)
    link = MessageFactory(kind="suscripcion", via="C", recipient="a@dominio.com")
    code = MessageFactory()
    handed = MessageFactory(
        kind="boletin", via="C", state="SENDING", handed_over_at=at - timedelta(hours=1), recipient="b@dominio.com"
    )
    Message.objects.filter(pk=handed.pk).update(lease_until=at - timedelta(hours=1))
    ResetRequest.objects.create(asked_at=at)
    EndpointFactory(mail_due=True)
    restoring.dump(fresh, tmp_path)
    restoring.restore(fresh, tmp_path)
    with connected_to(fresh.url):
        done = after(capsys)
        assert (done["campaigns that are drafts again"], done["campaigns that were paused"]) == (1, 1)
        assert (done["mails cancelled"], done["messages of which nobody knows"]) == (1, 1)
        assert done["mails with a link for a password dropped"] == done["notices of paused webhooks dropped"] == 1
        states = dict(Message.objects.values_list("pk", "state"))
        assert states == {link.pk: "CANCELLED", code.pk: "QUEUED", handed.pk: "UNKNOWN"}
        marks = {each.pk: (each.state, each.restored_at is not None) for each in Campaign.objects.all()}
        assert marks == {scheduled.pk: ("DRAFT", True), paused.pk: ("PAUSED", True), draft.pk: ("DRAFT", False)}


def test_an_erased_person_is_erased_again_and_nobody_else(fresh, mails, tmp_path, capsys):
    ana = everywhere(ANA, slug="banco")
    luz = everywhere(LUZ, slug="otro")
    restoring.dump(fresh, tmp_path)
    since = timezone.now()
    for row in (ana.applicant, ana.external):
        erasure.erase(row, Agent(by="marta", reason="lo pidió", at=timezone.now(), address="192.0.2.7"))
    call_command("erasures", since=since.isoformat())
    journal = tmp_path / "journal"
    journal.write_text(capsys.readouterr().out)
    assert len(journal.read_text().splitlines()) >= 3
    assert not any(needle in journal.read_text() for needle in ANA.needles)
    restoring.restore(fresh, tmp_path)
    with connected_to(fresh.url):
        assert Applicant.objects.filter(pk=ana.applicant.pk).exists(), "the backup has them"
        done = after(capsys, "--erasures", str(journal))
        assert (done["persons erased again"], done["erasures that failed: run this again"]) == (2, 0)
        assert not Applicant.objects.filter(pk=ana.applicant.pk).exists()
        assert found_in_dump(ANA.email) == found_in_dump(ANA.document) == 0
        assert Applicant.objects.filter(pk=luz.applicant.pk).exists()
        assert AuditEntry.objects.filter(action="person.erased", actor="after_restore").exists()
        again = after(capsys, "--erasures", str(journal))
        assert again["persons erased again"] == 0


def found_in_dump(needle: str) -> int:
    """Rows of applicants, clients, messages and codes that hold a value."""
    found = 0
    with connection.cursor() as cursor:
        for table in ("clients_applicant", "clients_authorizedclient", "clients_externalclient", "messaging_message"):
            cursor.execute(f"SELECT count(*) FROM {table} AS each WHERE position(%s IN each::text) > 0", [needle])
            found += cursor.fetchone()[0]
    return found


def test_an_id_that_was_given_again_after_the_restore_is_nobody_s_erasure(fresh, mails, tmp_path, capsys):
    restoring.dump(fresh, tmp_path)
    old = AuthorizedClientFactory(email="vieja@dominio.com", created_at=NOW)
    since = timezone.now()
    erasure.erase(old, Agent(by="marta", reason="lo pidió", at=timezone.now(), address="192.0.2.7"))
    call_command("erasures", since=since.isoformat())
    journal = tmp_path / "journal"
    journal.write_text(capsys.readouterr().out)
    restoring.restore(fresh, tmp_path)
    with connected_to(fresh.url):
        new = AuthorizedClientFactory(email="nueva@dominio.com")
        assert new.pk == old.pk, "the fresh server counts on from the backup"
        done = after(capsys, "--erasures", str(journal))
        assert (done["persons erased again"], done["erased rows that the backup has not, or blank"]) == (0, 1)
        assert AuthorizedClient.objects.filter(pk=new.pk, email="nueva@dominio.com").exists()
        assert AuthorizedClientFactory().pk > new.pk + after_restore.SKIPPED_IDS


def test_it_begins_a_new_epoch_and_a_second_run_changes_nothing(fresh, under_way, mails, tmp_path, capsys):
    restore.ensure_epoch()
    old = EventEpoch.objects.get().epoch
    restored_after_it_went_on(fresh, tmp_path, mails)
    with connected_to(fresh.url):
        after(capsys)
        epoch = EventEpoch.objects.get().epoch
        assert epoch != old
        lifecycle.resume(Campaign.objects.get(pk=under_way.pk), by="ana", at=timezone.now())
        assert set(after(capsys)) == {
            "persons erased again",
            "erased rows that the backup has not, or blank",
            "erasures that failed: run this again",
        }
        assert EventEpoch.objects.get().epoch == epoch
        assert Campaign.objects.get(pk=under_way.pk).state == "SENDING"
        assert AuditEntry.objects.filter(action="database.restored").count() == 1
        assert after(capsys, "--force")["campaigns paused"] == 1


@pytest.mark.parametrize("name", ["aval", "aval-periodic"])
def test_it_refuses_while_aval_is_connected(under_way, capsys, name):
    other = connections.create_connection("default")
    other.settings_dict["OPTIONS"] = other.settings_dict["OPTIONS"] | {"application_name": name}
    try:
        other.ensure_connection()
        with pytest.raises(CommandError, match="stop all its processes"):
            call_command("after_restore")
        assert Campaign.objects.get(pk=under_way.pk).state == "SENDING"
        assert after(capsys, "--force")["campaigns paused"] == 1
    finally:
        other.close()


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "{}",
        '{"at": "2026-11-29T10:00:00", "type": "clients.applicant", "id": "x"}',
        '{"at": "2026-11-29T10:00:00Z", "type": "clients.applicant", "id": "x"}',
        '{"at": "2026-11-29T10:00:00Z", "type": "auth.user", "id": "1"}',
        '{"at": "2026-11-29T10:00:00Z", "type": "clients.authorizedclient", "id": {}}',
    ],
)
def test_a_line_that_is_none_of_a_journal_is_refused_before_anything_is_done(under_way, tmp_path, line):
    journal = tmp_path / "journal"
    good = '{"at": "2026-11-29T10:00:00Z", "type": "clients.authorizedclient", "id": "1"}'
    journal.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(CommandError, match="line 3"):
        call_command("after_restore", "--erasures", str(journal))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("after_restore", "--erasures", str(tmp_path / "none"))
    assert Campaign.objects.get(pk=under_way.pk).state == "SENDING"
