"""Partner events of codes: each change of a code tells its partner once, in its transaction, and nothing secret."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from clients.errors import Refused
from clients.events.models import PartnerEvent
from clients.models import Applicant
from messaging.delivery import receipts
from messaging.delivery import send as delivery
from messaging.delivery.receipts import Report
from messaging.models import Message
from messaging.queue.sealing import unseal
from testkit.codes import request_code
from tests.factories import ApplicantFactory, PartnerFactory
from tokens import services, sweeper
from tokens.decisions import LOCK_AFTER
from tokens.models import MAX_TRIES, VerificationToken

pytestmark = pytest.mark.django_db

PHONE, MASKED = "987654321", "9•• ••• 321"


@pytest.fixture
def applicant():
    return ApplicantFactory(partner=PartnerFactory())


def ask(applicant, *, at=None, via="S"):
    origin = services.Origin(partner=applicant.partner)
    return request_code(
        applicant.pk, via=via, phone="" if via == "C" else PHONE, operator="", origin=origin, at=at or timezone.now()
    )


def verify(applicant, typed, **more):
    origin = services.Origin(partner=applicant.partner)
    services.verify(applicant.pk, typed, origin=origin, at=timezone.now(), **more)


def code_of(token):
    return unseal(bytes(Message.objects.get(reference=token.pk).sealed))


def written(*, but=("verification.requested",)):
    """Type, subject and data of the events, without those of the request itself."""
    rows = PartnerEvent.objects.order_by("id").exclude(type__in=but)
    return [(row.type, row.subject, row.data) for row in rows]


def test_of_an_accepted_code_nothing_is_kept_by_which_it_could_be_found(applicant):
    token = ask(applicant)
    verify(applicant, code_of(token))
    token.refresh_from_db()
    assert (token.outcome, bytes(token.code_hmac)) == ("VALIDADO", b"")


def test_a_request_tells_by_which_way_and_until_when(applicant):
    at = timezone.now()
    token = ask(applicant, at=at)
    event = PartnerEvent.objects.get()
    message = Message.objects.get(reference=token.pk)
    assert (event.partner, event.type, event.subject, event.at, event.test) == (
        applicant.partner,
        "verification.requested",
        str(token.pk),
        at,
        False,
    )
    assert event.data == {
        "client_id": str(applicant.pk),
        "via": "S",
        "to": MASKED,
        "message_id": str(message.pk),
        "expires_at": f"{token.expires_at:%Y-%m-%dT%H:%M:%S.%f}Z",
    }


def test_a_client_of_nobody_has_nobody_to_be_told():
    alone = ApplicantFactory(partner=None)
    token = ask(alone)
    delivery.deliver_due("codes")
    code = VerificationToken.objects.get(pk=token.pk)
    services.cancel(alone.pk, origin=services.Origin(), at=timezone.now())
    code.refresh_from_db()
    assert (code.outcome, PartnerEvent.objects.count()) == ("CANCELADO", 0)


def test_a_right_code_is_told_once(applicant):
    token = ask(applicant)
    verify(applicant, code_of(token))
    assert written() == [
        ("verification.verified", str(token.pk), {"client_id": str(applicant.pk), "via": "S", "to": MASKED})
    ]
    with pytest.raises(Refused):
        verify(applicant, "AAAA")
    assert len(written()) == 1


def test_a_mailbox_is_masked_too(applicant):
    ask(applicant, via="C")
    local = applicant.email[0]
    assert PartnerEvent.objects.get().data["to"] == f"{local}•••@example.com"


def test_the_last_wrong_try_is_told_and_none_before(applicant):
    token = ask(applicant)
    for nth in range(MAX_TRIES):
        with pytest.raises(Refused):
            verify(applicant, "....")
        assert len(written()) == (nth == MAX_TRIES - 1)
    (event,) = written()
    assert event[:2] == ("verification.failed", str(token.pk))
    about = {"client_id": str(applicant.pk), "via": "S", "to": MASKED}
    assert event[2] == about | {"outcome": "FALLIDO", "reason": "wrong"}


def test_a_lock_is_told(applicant):
    Applicant.objects.filter(pk=applicant.pk).update(wrong_codes_in_a_row=LOCK_AFTER - 1)
    token = ask(applicant)
    with pytest.raises(Refused):
        verify(applicant, "....")
    assert written() == [("verification.locked", str(token.pk), {"client_id": str(applicant.pk)})]


def test_a_cancelled_and_a_replaced_code_are_told_with_their_outcome(applicant):
    now = timezone.now()
    first = ask(applicant, at=now - timedelta(minutes=2, seconds=10))
    second = ask(applicant, at=now)
    services.cancel(applicant.pk, origin=services.Origin(partner=applicant.partner), at=timezone.now())
    assert [(kind, about, data["outcome"], data["reason"]) for kind, about, data in written()] == [
        ("verification.cancelled", str(first.pk), "REEMPLAZADO", "cancelled"),
        ("verification.cancelled", str(second.pk), "CANCELADO", "cancelled"),
    ]


@pytest.mark.parametrize(("wrong", "outcome"), [(0, "SIN_RESPUESTA"), (1, "EXPIRADO")])
def test_the_end_of_its_time_is_told_by_the_sweep_once(applicant, wrong, outcome):
    token = ask(applicant)
    VerificationToken.objects.filter(pk=token.pk).update(wrong_tries=wrong)
    late = timezone.now() + timedelta(seconds=200)
    assert sweeper.close_expired(at=late) == 1
    assert sweeper.close_expired(at=late) == 0
    ((kind, about, data),) = written()
    assert (kind, about, data["outcome"]) == ("verification.expired", str(token.pk), outcome)


def test_the_end_of_its_time_is_told_when_the_partner_says_it(applicant):
    token = ask(applicant)
    origin = services.Origin(partner=applicant.partner)
    services.expire(applicant.pk, origin=origin, at=timezone.now() + timedelta(seconds=151))
    assert [(kind, about) for kind, about, _ in written()] == [("verification.expired", str(token.pk))]


def test_sent_delivered_and_undelivered_are_told_under_the_code(applicant):
    token = ask(applicant)
    delivery.deliver_due("codes")
    message = Message.objects.get(reference=token.pk)
    for state in ("UNDELIVERED", "DELIVERED"):
        receipts.receive(Report("sandbox", str(message.pk), state, message_id=message.pk), at=timezone.now())
    about = {"message_id": str(message.pk), "kind": "verificacion", "via": "S", "to": MASKED}
    assert written() == [
        ("verification.sent", str(token.pk), about),
        ("verification.undelivered", str(token.pk), about | {"reason": "not_deliverable"}),
        ("verification.delivered", str(token.pk), about),
    ]


def test_a_receipt_that_changes_nothing_tells_nothing(applicant):
    token = ask(applicant)
    delivery.deliver_due("codes")
    message = Message.objects.get(reference=token.pk)
    for _ in range(3):
        receipts.receive(Report("sandbox", str(message.pk), "DELIVERED", message_id=message.pk), at=timezone.now())
    assert [kind for kind, _, _ in written()] == ["verification.sent", "verification.delivered"]


def test_a_code_that_no_provider_took_is_told_as_not_sent_once(applicant):
    token = ask(applicant)
    for _ in range(2):
        sweeper._return_rungs([token.pk], certainly=True, at=timezone.now())
    ((kind, about, data),) = written()
    assert (kind, about, data["outcome"]) == ("verification.failed", str(token.pk), "NO_ENVIADO")


def test_a_code_that_may_have_left_is_not_told_as_failed(applicant):
    token = ask(applicant)
    sweeper._return_rungs([token.pk], certainly=False, at=timezone.now())
    assert written() == []


def test_no_event_holds_a_code_a_name_a_document_or_a_number(applicant):
    first = ask(applicant)
    code = code_of(first)
    delivery.deliver_due("codes")
    verify(applicant, code)
    text = json.dumps([row.data for row in PartnerEvent.objects.all()]) + "".join(
        PartnerEvent.objects.values_list("subject", flat=True)
    )
    assert len(PartnerEvent.objects.all()) == 3
    for secret in (PHONE, applicant.email, applicant.document_number, applicant.names, applicant.paternal_surname):
        assert secret not in text
    assert f'"{code}"' not in text


def test_the_database_gives_place_and_no_test():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'clients_partnerevent'"
            " AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
        )
        given = {name for (name,) in cursor.fetchall()}
    assert given == {"partner_id", "type", "subject", "at", "data"}, "what a statement must name (clients.events.sql)"
