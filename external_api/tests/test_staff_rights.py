"""Rights in the staff API: those of the pages; destinations are shown accordingly, and each query is audited."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from clients.models import AuditEntry
from clients.retention import REDACTED, redact_audit
from conftest import make_applicant
from external_api.tests.staff_agent import BASE, NOON, SEES_ALL, Desk, ask, member
from tests.factories import MessageEventFactory

pytestmark = pytest.mark.django_db

PHONE, MAIL = "987654321", "juan12345678@example.com"
FORBIDDEN = {
    "error": "Acceso denegado",
    "message": "Su cuenta no tiene permiso para esta consulta.",
    "code": "ERR_FORBIDDEN",
}


@pytest.fixture
def rows(db):
    """An applicant with a code by SMS and one by mail, and a provider that repeats the number in its reply."""
    applicant = make_applicant()
    _, message = ask(applicant)
    message.provider_reply = f"ok to +51{PHONE}"
    message.save()
    MessageEventFactory(message=message, state="SENT", detail=f"{PHONE}: queued")
    ask(applicant, at=NOON + timedelta(minutes=2), via="C")
    return applicant


def paths(applicant):
    return (f"{BASE}/clients", f"{BASE}/messages", f"{BASE}/clients/{applicant.pk}")


@pytest.fixture
def masked(rows):
    """An agent of the desk, by role."""
    user = User.objects.create_user("eva", is_staff=True)
    user.groups.add(Group.objects.get(name="Soporte"))
    return Desk(user)


def test_an_account_without_a_right_sees_nothing(rows):
    no_rights = Desk(member("ana"))
    for path in (*paths(rows), f"{BASE}/clients/x", f"{BASE}/clients?desde=ayer"):
        answer = no_rights.get(path)
        assert (answer.status_code, answer.json()) == (403, FORBIDDEN), path


def test_an_agent_of_the_desk_sees_destinations_masked(rows, masked):
    for path in paths(rows):
        answer = masked.get(path)
        assert answer.status_code == 200, path
        assert PHONE not in answer.content.decode(), path
        assert MAIL not in answer.content.decode(), path
    client = masked.get(f"{BASE}/clients/{rows.pk}").json()["data"]
    assert (client["documento"], client["correo"]) == ("12345678", "j•••@example.com")
    assert [token["destino"] for token in client["tokens"]] == ["j•••@example.com", "9•• ••• 321"]
    by_sms = client["tokens"][1]["mensajes"][0]
    assert (by_sms["texto"], by_sms["respuesta_proveedor"]) == (None, "ok to 9•• ••• 321")
    assert by_sms["eventos"][0]["detalle"] == "9•• ••• 321: queued"


def test_a_full_value_finds_masked_rows(rows, masked):
    for query in ({"correo": MAIL}, {"telefono": PHONE}, {"documento": "12345678"}):
        assert masked.ids("clients", **query) == [str(rows.pk)], query
    assert len(masked.ids("messages", destino=PHONE)) == 1


def test_a_view_right_opens_its_own_rows_in_full_and_no_others(rows):
    of_clients, of_messages = Desk(member("ana", "view_applicant")), Desk(member("luz", "view_message"))
    assert of_clients.listed("clients")["data"][0]["correo"] == MAIL
    assert "tokens" not in of_clients.get(f"{BASE}/clients/{rows.pk}").json()["data"]
    assert of_clients.get(f"{BASE}/messages").status_code == 403
    assert {row["destino"] for row in of_messages.listed("messages")["data"]} == {PHONE, MAIL}
    assert of_messages.get(f"{BASE}/clients").status_code == 403
    both = Desk(member("ada", "view_applicant", "view_verificationtoken"))
    token = both.get(f"{BASE}/clients/{rows.pk}").json()["data"]["tokens"][1]
    assert token["destino"] == PHONE
    assert "mensajes" not in token


def test_each_part_of_a_client_is_shown_as_far_as_its_own_right_goes(rows):
    desk = Desk(member("ana", "use_desk", "view_applicant"))
    data = desk.get(f"{BASE}/clients/{rows.pk}").json()["data"]
    assert (data["correo"], data["tokens"][1]["destino"]) == (MAIL, "9•• ••• 321")


def test_every_query_is_in_the_audit(rows, masked):
    masked.get(f"{BASE}/clients", correo=MAIL.upper(), limit=5)
    Desk(member("ana", *SEES_ALL)).get(f"{BASE}/clients/{rows.pk}")
    listed, one = AuditEntry.objects.filter(action="staff_api.queried").order_by("pk")
    assert (listed.actor, listed.object_type, listed.address) == ("eva", "auth.user", "127.0.0.1")
    assert listed.data == {"query": "admin/clients", "filter": {"correo": MAIL}, "rows": 1, "shown": "tapado"}
    assert one.data["filter"] == {"id": str(rows.pk)}
    assert (one.actor, one.data["shown"]) == ("ana", "completo")


def test_the_filter_of_a_query_is_redacted_with_the_person(rows, masked):
    masked.get(f"{BASE}/clients", documento="12345678")
    masked.get(f"{BASE}/messages", destino=PHONE)
    redact_audit([], ["12345678", PHONE])
    asked = [entry.data["filter"] for entry in AuditEntry.objects.filter(action="staff_api.queried").order_by("pk")]
    assert asked == [{"documento": REDACTED}, {"destino": REDACTED}]


def test_a_query_without_access_is_not_audited(rows):
    Desk(member("ana")).get(f"{BASE}/clients")
    assert not AuditEntry.objects.filter(action="staff_api.queried").exists()
