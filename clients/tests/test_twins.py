"""Test twin of a partner: it is as its partner, whoever writes, and its keys are told apart."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from clients import credentials, twins
from clients.credentials import authenticate, revoke
from clients.errors import CredentialRefused
from clients.models import AuditEntry, Credential, Partner
from conftest import NOW, at_once
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def live():
    return PartnerFactory(name="Andina", brand="Andina", contracts=["informaperu"], requests_per_minute=77)


@pytest.fixture
def twin(live):
    return twins.twin_of(live, at=NOW, by="eva")


def test_it_is_made_once_and_is_as_its_partner(live, twin):
    assert twins.twin_of(live, at=NOW, by="eva") == twin
    assert (twin.name, twin.slug) == ("Andina (pruebas)", "andina-pruebas")
    assert (twin.brand, twin.contracts, twin.requests_per_minute) == ("Andina", ["informaperu"], 77)
    assert twin.is_active
    assert twin.is_twin
    assert not live.is_twin


def test_it_is_audited(live, twin):
    entry = AuditEntry.objects.get(action="partner.created")
    assert (entry.object_id, entry.actor, entry.data) == (
        str(twin.pk),
        "eva",
        {"slug": "andina-pruebas", "twin_of": "andina"},
    )


CHANGES = {
    "name": ("Otra", "Otra (pruebas)"),
    "brand": ("Otra", "Otra"),
    "contracts": (["registry"], ["registry"]),
    "is_active": (False, False),
    "requests_per_minute": (None, None),
}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("way", ["save", "update"])
def test_it_follows_its_partner_whoever_writes(live, twin, field, way):
    before = Partner.objects.filter(pk=twin.pk).values().get()
    value, expected = CHANGES[field]
    if way == "save":
        setattr(live, field, value)
        live.save()
    else:
        Partner.objects.filter(pk=live.pk).update(**{field: value})
    assert Partner.objects.filter(pk=twin.pk).values().get() == {**before, field: expected}


def test_what_it_shares_cannot_be_changed_in_its_own_row(twin):
    Partner.objects.filter(pk=twin.pk).update(is_active=False, name="x", contracts=["registry"])
    twin.refresh_from_db()
    assert (twin.is_active, twin.name, twin.contracts) == (True, "Andina (pruebas)", ["informaperu"])


def test_a_long_name_and_a_slug_that_is_taken_get_another_one():
    PartnerFactory(name="x", slug=f"{'a' * 42}-pruebas")
    live = PartnerFactory(name="n" * 100, slug="a" * 50)
    twin = twins.twin_of(live, at=NOW, by="eva")
    assert (twin.name, twin.slug) == ("n" * 89 + " (pruebas)", "a" * 40 + "-pruebas-2")


def test_a_twin_has_no_twin(live, twin):
    with pytest.raises(twins.TwinHasNoTwin):
        twins.twin_of(twin, at=NOW, by="eva")
    with pytest.raises(IntegrityError), transaction.atomic():
        Partner.objects.create(name="x", slug="x", twin_of=twin)


def test_a_partner_does_not_become_a_twin_and_a_twin_no_partner(live, twin):
    other = PartnerFactory(name="Otra")
    with pytest.raises(IntegrityError), transaction.atomic():
        Partner.objects.filter(pk=other.pk).update(twin_of=live.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Partner.objects.filter(pk=twin.pk).update(twin_of=None)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_makes_it(live):
    made = at_once([lambda: twins.twin_of(live, at=NOW, by="eva").pk] * 4)
    assert len(set(made)) == 1
    assert Partner.objects.filter(twin_of=live).count() == 1


# --- keys ---


def test_its_keys_open_as_it_and_end_with_its_partner(live):
    made = twins.issue_keys(live, at=NOW, by="eva")
    opaque = authenticate(made.token, at=NOW)
    assert opaque.partner.twin_of_id == live.pk
    Partner.objects.filter(pk=live.pk).update(is_active=False)
    for secret in (made.token, made.jwt):
        with pytest.raises(CredentialRefused):
            authenticate(secret, at=NOW)


def test_an_opaque_one_begins_with_test_and_no_live_one_does(live, monkeypatch):
    made = twins.issue_keys(live, at=NOW, by="eva")
    assert made.token.startswith("test")
    assert credentials.OPAQUE.fullmatch(made.token)
    assert Credential.objects.get(kind="opaque").prefix == made.token[:8]
    letters = iter("test" * 8 + "x" * 32)
    monkeypatch.setattr(credentials.secrets, "choice", lambda alphabet: next(letters))
    _, secret = credentials.issue(live, "opaque", at=NOW, by="eva")
    assert secret == "x" * 32


def test_they_are_audited_as_live_ones(live):
    twins.issue_keys(live, at=NOW, by="andina/abcd", address="192.0.2.1")
    entries = AuditEntry.objects.filter(action="credential.issued")
    assert {(each.actor, each.address, each.data["partner"]) for each in entries} == {
        ("andina/abcd", "192.0.2.1", "andina-pruebas")
    }
    assert {each.data["kind"] for each in entries} == {"opaque", "jwt"}


def test_there_are_so_many_live_ones_and_no_more(live):
    for _ in range(twins.MOST_KEYS // 2):
        twins.issue_keys(live, at=NOW, by="eva")
    with pytest.raises(twins.TooManyTestKeys):
        twins.issue_keys(live, at=NOW, by="eva")
    with pytest.raises(twins.TooManyTestKeys):
        twins.issue_key(live, "opaque", at=NOW, by="eva")
    for key in Credential.objects.filter(kind="opaque")[:2]:
        revoke(key, at=NOW, by="eva")
    twins.issue_keys(live, at=NOW, by="eva")
    with pytest.raises(twins.TooManyTestKeys):
        twins.issue_key(live, "opaque", at=NOW, by="eva")
    assert twins.issue_keys(live, at=NOW + timedelta(days=366), by="eva").token  # the JWTs are over


def test_whether_a_partner_is_a_twin_is_looked_up_once(live, twin, django_assert_num_queries):
    with django_assert_num_queries(2):
        for _ in range(3):
            assert twins.is_twin(twin.pk)
            assert not twins.is_twin(live.pk)
    assert not twins.is_twin(None)
    assert (twins.scope_of(twin.pk), twins.scope_of(live.pk)) == (twin.pk, None)
