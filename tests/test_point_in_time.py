"""Point-in-time recovery as docs/backup.md has it: base backup and archived WAL, restored to a moment in mid-campaign.

Nobody is mailed twice, nothing that waited leaves by itself, and who was erased after the moment is erased again.
"""

import time

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from clients.models import AuthorizedClient
from config.variables import BASE_DIR
from conftest import NOW
from messaging.models import Campaign, Message
from support.cases.actions import Agent
from support.privacy import erasure
from testkit import restoring
from testkit.archiving import ARCHIVE, RECOVERY, archived
from testkit.restoring import connected_to
from tests.campaign_under_way import BEFORE, CLIENTS, begin, go_on, record_mails, times_mailed
from tests.factories import AuthorizedClientFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]


def test_a_moment_in_mid_campaign_is_restored_and_nobody_is_mailed_twice(tmp_path, monkeypatch, capsys):
    mails = record_mails(monkeypatch)
    journal = tmp_path / "journal"
    with archived(tmp_path / "servers") as servers:
        first = servers.server(servers.node)
        restoring.dump(first, tmp_path)
        restoring.restore(first, tmp_path)  # the tables and the groups of a new installation
        with connected_to(first.url):
            servers.take_base_backup()  # before any client of the test
            one = begin(mails, monkeypatch)
            gone, kept = (
                AuthorizedClientFactory(email=f"{name}@dominio.com", created_at=NOW) for name in ("ana", "luz")
            )
            time.sleep(0.1)
            moment = timezone.now()
            time.sleep(0.1)
            erasure.erase(gone, Agent(by="marta", reason="lo pidió", at=timezone.now(), address="192.0.2.7"))
            go_on()
            assert list(times_mailed(mails).values()) == [1] * CLIENTS, "the campaign has ended"
            call_command("erasures", since=moment.isoformat())
            journal.write_text(capsys.readouterr().out)
        servers.lose()
        restored = servers.restore_to(moment.isoformat())
        with connected_to(restored.url):
            assert one.messages.filter(state="SENT").count() == BEFORE, "what had left by that moment"
            assert one.messages.filter(state="QUEUED").count() == BEFORE
            assert AuthorizedClient.objects.filter(email=gone.email).exists()
            call_command("after_restore", "--erasures", str(journal))
            assert Campaign.objects.get(pk=one.pk).state == "PAUSED"
            assert not Message.objects.filter(state="QUEUED", via="C", kind="boletin").exists()
            go_on()
            assert list(times_mailed(mails).values()) == [1] * CLIENTS, "nothing leaves by itself"
            assert not AuthorizedClient.objects.filter(email=gone.email).exists()
            assert AuthorizedClient.objects.filter(email=kept.email).exists()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery()")
                assert cursor.fetchone() == (False,)


def test_the_page_has_the_settings_that_are_tried_here():
    page = (BASE_DIR / "docs" / "backup.md").read_text()
    for line in (ARCHIVE + RECOVERY).format(backups="/backup", moment="2026-12-01 10:15:00-05").split("\n"):
        assert f"    {line}\n" in page or not line
