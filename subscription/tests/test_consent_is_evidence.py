"""Evidence of a consent: person, partner, time, address and text, which nobody can change."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from subscription.consent import VERSION, consent_to
from subscription.models import ConsentRecord, SubscriptionRequest
from subscription.tests.conftest import ANA

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(visitor, client_of_banco):
    visitor.http.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert visitor.press(visitor.link()).status_code == 200
    return ConsentRecord.objects.get()


def test_a_consent_records_person_partner_time_address_and_text(record, client_of_banco):
    client_of_banco.refresh_from_db()
    assert record.authorized_client == client_of_banco
    assert record.request == SubscriptionRequest.objects.get()
    assert (record.email, record.act, record.how, record.address) == (ANA, "given", "link", "192.0.2.7")
    assert record.at == client_of_banco.subscribed_at == record.request.used_at
    assert record.text_version == VERSION
    assert record.text == consent_to(["Banco Andino"], email=ANA, brand="Aval").text
    for word in ("Banco Andino", ANA, "PUBLICIDAD", "Ley 29733", "Ley 28493", "enlace de baja"):
        assert word in record.text


def test_the_page_shows_the_text_that_is_stored(visitor, client_of_banco):
    link = visitor.link()
    page = visitor.http.get(link).content.decode()
    visitor.press(link)
    for paragraph in ConsentRecord.objects.get().text.split("\n\n"):
        assert f"<p>{paragraph}</p>" in page


def test_it_cannot_be_rewritten_nor_deleted(record):
    for act in (
        lambda: ConsentRecord.objects.update(act="withdrawn", how="page"),
        record.delete,
        record.save,
        lambda: connection.cursor().execute("DELETE FROM subscription_consentrecord"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            act()
    assert ConsentRecord.objects.get().act == "given"


@pytest.mark.parametrize("missing", ["text", "text_version", "request", "how"])
def test_the_database_takes_no_consent_without_its_evidence(record, missing):
    fields = {
        "authorized_client": record.authorized_client,
        "request": record.request,
        "email": ANA,
        "act": "given",
        "how": "link",
        "text_version": VERSION,
        "text": "...",
        "at": timezone.now(),
        "address": "192.0.2.7",
    }
    instead = {"request": None, "how": "one_click"}.get(missing, "")
    with pytest.raises(IntegrityError, match="a_consent_is_given_by_a_link_and_with_a_text"), transaction.atomic():
        ConsentRecord.objects.create(**{**fields, missing: instead})


def test_a_changed_text_has_another_digest(settings):
    one = consent_to(["Banco Andino"], email=ANA, brand="Aval")
    assert one.digest == consent_to(["Banco Andino"], email=ANA, brand="Aval").digest
    assert one.digest != consent_to(["Banco Andino", "Caja"], email=ANA, brand="Aval").digest
    assert one.digest != consent_to(["Banco Andino"], email="x@example.com", brand="Aval").digest


def test_a_partner_s_name_with_braces_is_printed_as_it_is():
    assert "{email} {0}" in consent_to(["{email} {0}"], email=ANA, brand="Aval").text
