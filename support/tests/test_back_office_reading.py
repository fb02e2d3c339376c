"""Values on pages of the admin: times in Lima's clock, and labels instead of stored values."""

import re
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from clients.credentials import issue
from clients.models import AuditEntry, Credential, audit
from conftest import make_applicant
from messaging.models import Message, ProviderState
from support.tests.days_rows import sent
from tests.factories import PartnerFactory, superuser_browser

pytestmark = pytest.mark.django_db
AT = datetime(2026, 2, 12, 15, 30, 7, 82231, tzinfo=UTC)


@pytest.fixture
def http(db):
    return superuser_browser("jefa")


def read(http, path):
    answer = http.get(path)
    assert answer.status_code == 200, path
    return re.sub(r"\s+", " ", answer.content.decode())


def test_when_a_provider_took_a_message_is_a_moment_in_lima(http):
    message = sent(AT, handed_over_at=AT, sent_at=AT)
    page = read(http, f"/admin/messaging/message/{message.pk}/change/")
    assert page.count("12/02/2026 10:30:07") >= 3
    assert "2026-02-12" not in page
    Message.objects.update(handed_over_at=None)
    assert "None" not in read(http, f"/admin/messaging/message/{message.pk}/change/")


def test_the_audit_says_a_kind_and_a_via_in_words(http):
    bank = PartnerFactory(name="Banco")
    issue(bank, Credential.Kind.OPAQUE, at=AT, by="jefa")
    audit(make_applicant(), "ladder.forgiven", at=AT, by="jefa", via="W")
    pages = [read(http, f"/admin/clients/auditentry/{each.pk}/change/") for each in AuditEntry.objects.order_by("pk")]
    assert "Token opaco" in pages[0]
    assert "<td>opaque</td>" not in pages[0]
    assert "<td>WhatsApp</td>" in pages[1]


def test_a_date_that_may_be_empty_is_filtered_by_yes_and_no(http):
    free, held = make_applicant("11111111"), make_applicant("22222222", locked_at=AT)
    ProviderState.objects.create(name="twilio", set_aside_at=timezone.now())
    for path in (
        "/admin/clients/applicant/",
        "/admin/messaging/providerstate/",
        "/admin/subscription/subscriptionrequest/",
    ):
        page = read(http, path)
        assert "acío" not in page, path
        assert re.search(r'isempty=0"[^>]*>\s*Sí\s*<', page), path
        assert re.search(r'isempty=1"[^>]*>\s*No\s*<', page), path
    page = read(http, "/admin/clients/applicant/?locked_at__isempty=0")
    assert held.document_number in page
    assert free.document_number not in page
