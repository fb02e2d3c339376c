"""Redaction of the audit: the only change that its trigger allows, in a transaction that asks for it."""

import json

import pytest
from django.db import DatabaseError, connection, transaction

from clients.models import AuditEntry, audit
from clients.retention import REDACTED, redact_audit, redacted
from conftest import NOW
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db
DATA = {"request": 9, "changes": [{"field": "phone", "before": "911222333", "after": "944555666"}]}
GONE = {"request": 9, "changes": [{"field": "phone", "before": REDACTED, "after": REDACTED}]}


@pytest.fixture
def entry():
    partner = PartnerFactory(name="Banco")
    return audit(partner, "external_client.changed", at=NOW, by="banco/1a2b", reason="r", address="192.0.2.1", **DATA)


def update(sql, *params, said="on"):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('aval.redacting', %s, true)", [said])
        cursor.execute(sql, params)


def data(value):
    return "UPDATE clients_auditentry SET data = %s::jsonb", json.dumps(value)


def test_values_are_redacted_in_a_transaction_that_says_so(entry):
    update(*data(GONE))
    entry.refresh_from_db()
    assert entry.data == GONE
    update(*data(GONE))


@pytest.mark.parametrize("said", ["", "off", "true", "1"])
def test_no_transaction_redacts_without_saying_so(entry, said):
    with pytest.raises(DatabaseError, match="append-only"):
        update(*data(GONE), said=said)


@pytest.mark.django_db(transaction=True)
def test_the_permission_to_redact_ends_with_its_transaction(entry):
    update(*data(GONE))
    with pytest.raises(DatabaseError, match="append-only"):
        AuditEntry.objects.update(data=GONE | {"request": REDACTED})


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"request": 9},
        {"request": 10, "changes": DATA["changes"]},
        GONE | {"more": 1},
        {**GONE, "changes": []},
        {**GONE, "changes": [*GONE["changes"], *GONE["changes"]]},
        {**GONE, "changes": [{"field": "phone", "before": "911222333", "after": "999999999"}]},
        {**GONE, "changes": [{"field": "phone", "before": "944555666", "after": "911222333"}]},
        {**GONE, "changes": [{"campo": "phone", "before": REDACTED, "after": REDACTED}]},
        {**GONE, "changes": [{"field": "phone", "before": REDACTED}]},
        {**GONE, "changes": {"0": REDACTED}},
        {"request": "[BORRADO]", "changes": DATA["changes"]},
        {"request": None, "changes": DATA["changes"]},
        REDACTED,
        [DATA],
    ],
)
def test_a_redaction_changes_no_other_data(entry, other):
    with pytest.raises(DatabaseError, match="append-only"):
        update(*data(other))
    entry.refresh_from_db()
    assert entry.data == DATA


@pytest.mark.parametrize(
    "column", [field.column for field in AuditEntry._meta.concrete_fields if field.column != "data"]
)
def test_a_redaction_changes_no_other_column(entry, column):
    value = {"id": "id + 1", "at": "at + interval '1 s'", "address": "'192.0.2.2'"}.get(column, "'x'")
    sql, gone = data(GONE)
    with pytest.raises(DatabaseError, match="append-only"):
        update(f"{sql}, {column} = {value}", gone)
    with pytest.raises(DatabaseError, match="append-only"):
        update(f"UPDATE clients_auditentry SET {column} = {value}")


def test_no_entry_is_deleted(entry):
    with pytest.raises(DatabaseError, match="append-only"):
        update("DELETE FROM clients_auditentry")
    assert AuditEntry.objects.get() == entry


def test_only_the_persons_entries_change_and_the_permission_ends(entry):
    other = audit(entry, "external_client.changed", at=NOW, by="x", **DATA)
    with transaction.atomic():
        assert redact_audit([("clients.partner", entry.object_id)], []) == 1
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            AuditEntry.objects.update(data=GONE)
    entry.refresh_from_db()
    other.refresh_from_db()
    assert (entry.data, other.data) == (GONE, DATA)


def test_an_entry_without_changes_keeps_its_words():
    assert redacted({"via": "S", "slug": "banco", "n": 1}, lambda text: False) == {"via": "S", "slug": "banco", "n": 1}
    assert redacted({"q": ["Ana@x.pe", 5]}, lambda text: "ana" in text.lower()) == {"q": [REDACTED, 5]}


def test_a_word_that_a_partner_registered_as_a_document_does_not_blank_other_entries():
    """A passport number may be any letters: a partner could have one erased to blank what the audit says of the
    partner."""
    partner = PartnerFactory(name="Banco")
    changes = [{"field": "contracts", "before": ["nopasanada"], "after": ["registry", "ab123456"]}]
    entry = audit(partner, "partner.changed", at=NOW, by="eva", changes=changes, note="ab123456, ana@dominio.com")
    redact_audit([], ["NOPASANADA"])
    entry.refresh_from_db()
    assert entry.data["changes"] == changes
    redact_audit([], ["ANA@DOMINIO.COM", "AB123456"])
    entry.refresh_from_db()
    assert entry.data["note"] == REDACTED
