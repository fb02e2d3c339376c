"""Test keys in the admin: issued, rotated and revoked on the page of their partner."""

import re
from html import unescape

import pytest
from django.utils import timezone

from clients import twins
from clients.credentials import authenticate
from clients.errors import CredentialRefused
from clients.models import AuditEntry, Credential, Partner
from tests.factories import PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner():
    return PartnerFactory(name="Financiera")


@pytest.fixture
def boss():
    return superuser_browser()


def url(partner, rest=""):
    return f"/admin/clients/partner/{partner.pk}/{rest}"


def sent(http, where, **fields):
    page = http.get(where)
    assert page.status_code == 200
    ticket = re.search(r'name="ticket" value="([^"]+)"', page.content.decode())[1]
    return http.post(where, {"ticket": ticket, **fields})


def secret_in(answer):
    assert answer.status_code == 200
    return unescape(re.search(r'<textarea id="secret"[^>]*>([^<]+)</textarea>', answer.content.decode())[1])


def test_staff_issue_one_which_is_shown_once(boss, partner):
    secret = secret_in(sent(boss, url(partner, "credencial/prueba/"), kind="opaque"))
    key = authenticate(secret, at=timezone.now())
    assert secret.startswith("test")
    assert key.partner.twin_of == partner
    entry = AuditEntry.objects.get(action="credential.issued")
    assert (entry.actor, entry.data["partner"]) == ("ana", "financiera-pruebas")
    page = boss.get(url(partner, "change/")).content.decode()
    assert key.prefix in page
    assert secret not in page


def test_it_is_rotated_and_revoked_on_the_same_page(boss, partner):
    old = secret_in(sent(boss, url(partner, "credencial/prueba/"), kind="opaque"))
    key = Credential.objects.get()
    page = boss.get(url(partner, "change/")).content.decode()
    assert url(partner, f"credencial/{key.pk}/rotar/") in page
    new = secret_in(sent(boss, url(partner, f"credencial/{key.pk}/rotar/"), hours="0", reason="x"))
    assert new.startswith("test")
    newest = Credential.objects.latest("pk")
    assert boss.post(url(partner, f"credencial/{newest.pk}/revocar/"), {"reason": "x"}).status_code == 302
    for secret in (old, new):
        with pytest.raises(CredentialRefused):
            authenticate(secret, at=timezone.now())


def test_a_key_of_another_partners_twin_is_not_on_it(boss, partner):
    other, _ = twins.issue_key(PartnerFactory(name="Otra"), "opaque", at=timezone.now(), by="eva")
    assert other.prefix not in boss.get(url(partner, "change/")).content.decode()
    boss.post(url(partner, f"credencial/{other.pk}/revocar/"), {"reason": "x"})
    other.refresh_from_db()
    assert other.revoked_at is None


def test_there_is_no_page_of_a_twin_and_no_row_in_the_list(boss, partner):
    twins.issue_keys(partner, at=timezone.now(), by="eva")
    twin = Partner.objects.get(twin_of=partner)
    assert boss.get(url(twin, "change/")).status_code == 302
    assert boss.get(url(twin, "credencial/")).status_code == 404
    listed = boss.get("/admin/clients/partner/").content.decode()
    assert "financiera" in listed
    assert "financiera-pruebas" not in listed


def test_too_many_are_refused_with_a_reason(boss, partner):
    for _ in range(twins.MOST_KEYS // 2):
        twins.issue_keys(partner, at=timezone.now(), by="eva")
    answer = sent(boss, url(partner, "credencial/prueba/"), kind="opaque")
    assert answer.status_code == 302
    assert "20 credenciales de prueba" in boss.get(url(partner, "change/")).content.decode()


def test_who_may_issue_no_key_issues_no_test_key(partner):
    http = staff_browser("view_partner")
    assert http.get(url(partner, "credencial/prueba/")).status_code == 403
