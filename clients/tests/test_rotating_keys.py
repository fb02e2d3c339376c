"""Rotation of a key: the new one has its kind and lifetime, and the old one works until the overlap is over."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from clients.credentials import authenticate, issue, revoke, rotate
from clients.errors import CredentialRefused
from clients.models import AuditEntry, Credential
from conftest import NOW, at_once
from tests.factories import PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def partner(db):
    return PartnerFactory(name="Financiera")


def enters(secret, at):
    try:
        return bool(authenticate(secret, at=at))
    except CredentialRefused:
        return False


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_during_the_overlap_both_keys_open_and_then_the_new_one_only(partner, kind):
    start = timezone.now()
    old, former = issue(partner, kind, at=start, by="ana")
    new, secret = rotate(old, overlap=24 * HOUR, at=start, by="ana")
    assert new.kind == kind
    assert secret != former
    assert enters(former, start + 23 * HOUR)
    assert enters(secret, start + 23 * HOUR)
    assert not enters(former, start + 24 * HOUR)
    assert enters(secret, start + 24 * HOUR)


def test_without_an_overlap_the_old_one_ends_at_once(partner):
    old, former = issue(partner, "opaque", at=NOW, by="ana")
    _, secret = rotate(old, overlap=timedelta(0), at=NOW + HOUR, by="ana")
    assert not enters(former, NOW + HOUR)
    assert enters(secret, NOW + HOUR)
    old.refresh_from_db()
    assert old.revoked_at == NOW + HOUR


def test_the_new_one_lives_as_long_as_the_old_one_was_meant_to(partner):
    old, _ = issue(partner, "jwt", at=NOW, by="ana", expires_at=NOW + timedelta(days=90))
    new, _ = rotate(old, overlap=HOUR, at=NOW + timedelta(days=60), by="ana")
    assert new.expires_at == NOW + timedelta(days=150)
    endless, _ = issue(partner, "opaque", at=NOW, by="ana")
    assert rotate(endless, overlap=HOUR, at=NOW, by="ana")[0].expires_at is None


def test_an_overlap_lengthens_no_life(partner):
    old, _ = issue(partner, "opaque", at=NOW, by="ana", expires_at=NOW + HOUR)
    rotate(old, overlap=24 * HOUR, at=NOW, by="ana")
    old.refresh_from_db()
    assert old.expires_at == NOW + HOUR


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_a_key_that_has_ended_is_not_rotated(partner, ended):
    old, _ = issue(partner, "opaque", at=NOW, by="ana", expires_at=NOW + HOUR)
    if ended == "revoked":
        revoke(old, at=NOW, by="ana")
    with pytest.raises(CredentialRefused):
        rotate(old, overlap=HOUR, at=NOW + (HOUR if ended == "expired" else timedelta(0)), by="ana")
    assert Credential.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_rotate_a_key_at_once_one_is_refused():
    partner = PartnerFactory(name="Financiera")
    old, _ = issue(partner, "opaque", at=NOW, by="ana")

    def act():
        try:
            return rotate(old, overlap=timedelta(0), at=NOW, by="ana") is not None
        except CredentialRefused:
            return False

    assert sorted(at_once([act, act])) == [False, True]
    assert Credential.objects.filter(revoked_at=None).count() == 1


def test_the_audit_has_the_old_and_the_new_key_without_the_secret(partner):
    old, former = issue(partner, "opaque", at=NOW, by="ana")
    new, secret = rotate(old, overlap=HOUR, at=NOW, by="ana", reason="plan anual", address="192.0.2.7")
    entry = AuditEntry.objects.get(action="credential.rotated")
    assert (entry.object_id, entry.actor, entry.reason, entry.address) == (
        str(old.pk),
        "ana",
        "plan anual",
        "192.0.2.7",
    )
    end = (NOW + HOUR).isoformat()
    assert entry.data == {"new": new.pk, "changes": [{"field": "expires_at", "before": None, "after": end}]}
    everything = str(list(AuditEntry.objects.values()))
    assert secret not in everything
    assert former not in everything


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def boss(db):
    return superuser_browser()


def url_of(credential):
    return reverse("admin:clients_partner_rotate", args=[credential.partner_id, credential.pk])


def rotated(http, credential, **fields):
    form = http.get(url_of(credential)).content.decode()
    ticket = re.search(r'name="ticket" value="([^"]+)"', form)[1]
    body = {"ticket": ticket, "hours": "24", "reason": "plan anual", **fields}
    return http.post(url_of(credential), body), body


def test_the_page_shows_the_new_secret_once(boss, partner):
    old, former = issue(partner, "opaque", at=timezone.now(), by="ana")
    assert url_of(old) in boss.get(f"/admin/clients/partner/{partner.pk}/change/").content.decode()
    answer, body = rotated(boss, old)
    html = answer.content.decode()
    secret = unescape(re.search(r'<textarea id="secret"[^>]*>([^<]+)</textarea>', html)[1])
    assert enters(secret, timezone.now())
    assert enters(former, timezone.now())
    assert "La anterior" in html
    again = boss.post(url_of(old), body, follow=True).content.decode()
    assert secret not in again
    assert "se muestra una sola vez" in again
    assert Credential.objects.count() == 2


def test_the_page_can_end_the_old_key_at_once(boss, partner):
    old, former = issue(partner, "opaque", at=timezone.now(), by="ana")
    answer, _ = rotated(boss, old, hours="0")
    assert "ya no entra" in answer.content.decode()
    assert not enters(former, timezone.now())


@pytest.mark.parametrize("fields", [{"hours": "5"}, {"hours": ""}, {"reason": " "}, {"hours": "-24"}], ids=str)
def test_nonsense_rotates_nothing(boss, partner, fields):
    old, _ = issue(partner, "opaque", at=timezone.now(), by="ana")
    answer, _ = rotated(boss, old, **fields)
    assert "errorlist" in answer.content.decode()
    assert Credential.objects.count() == 1


def test_an_ended_key_and_one_of_another_partner_have_no_such_page(boss, partner):
    old, _ = issue(partner, "opaque", at=timezone.now(), by="ana")
    other = PartnerFactory(name="Otra")
    for where in (reverse("admin:clients_partner_rotate", args=[other.pk, old.pk]),):
        assert "emita otra" in boss.get(where, follow=True).content.decode()
    revoke(old, at=timezone.now(), by="ana")
    assert "emita otra" in boss.get(url_of(old), follow=True).content.decode()


@pytest.mark.parametrize("missing", ["add_credential", "change_credential", "view_partner"])
def test_rotating_needs_the_right_to_issue_and_to_revoke(partner, missing):
    old, _ = issue(partner, "opaque", at=timezone.now(), by="ana")
    names = {"add_credential", "change_credential", "view_partner", "view_credential"} - {missing}
    http = staff_browser(*names, name="luis")
    assert http.get(url_of(old)).status_code == 403
    assert http.post(url_of(old), {"hours": "0", "reason": "x"}).status_code == 403
    if missing != "view_partner":
        assert url_of(old) not in http.get(f"/admin/clients/partner/{partner.pk}/change/").content.decode()
