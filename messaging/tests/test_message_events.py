"""Partner events of bulletins, alerts and the suppression list."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from clients.events.models import PartnerEvent
from messaging.delivery import receipts
from messaging.delivery.receipts import Report
from messaging.models import Message, Suppression
from messaging.queue.transitions import Sent, sent_together
from messaging.suppression import listing
from tests.factories import AuthorizedClientFactory, MessageFactory, PartnerFactory

pytestmark = pytest.mark.django_db
ANA, MASKED = "ana@dominio.com", "a•••@dominio.com"


def sending(partner, **changes):
    fields = {"kind": "boletin", "via": "C", "recipient": ANA, "partner": partner}
    return MessageFactory(handed_over=True, state="SENDING", provider="smtp", **{**fields, **changes})


def take(*messages, at=None):
    answers = [Sent(each.pk, each.claim_id, "p-1", "250 OK", at or timezone.now()) for each in messages]
    return sent_together(answers)


def written():
    rows = PartnerEvent.objects.order_by("id")
    return [(each.partner, each.type, each.subject, each.data) for each in rows]


@pytest.mark.parametrize("kind", ["boletin", "alerta"])
def test_a_mail_that_was_taken_is_told_under_its_own_id_at_its_own_moment(kind):
    partner, at = PartnerFactory(), timezone.now() - timedelta(seconds=2)
    message = sending(partner, kind=kind)
    assert take(message, at=at) == {message.pk}
    about = {"message_id": str(message.pk), "kind": kind, "via": "C", "to": MASKED}
    assert written() == [(partner, "message.sent", str(message.pk), about)]
    assert PartnerEvent.objects.get().at == at


def test_what_came_of_it_is_told_by_the_receipt():
    partner = PartnerFactory()
    message = sending(partner)
    take(message)
    for state in ("UNDELIVERED", "DELIVERED", "DELIVERED"):
        receipts.receive(Report("smtp", "p-1", state, message_id=message.pk), at=timezone.now())
    assert [kind for _, kind, _, _ in written()] == ["message.sent", "message.undelivered", "message.delivered"]
    assert {about for _, _, about, _ in written()} == {str(message.pk)}


def test_confirmations_of_a_subscription_and_mails_of_nobody_are_not_told():
    take(sending(None), sending(PartnerFactory(), kind="suscripcion"))
    assert Message.objects.filter(state="SENT").count() == 2
    assert written() == []


def test_an_answer_that_comes_after_its_claim_tells_nothing():
    message = sending(PartnerFactory())
    Message.objects.filter(pk=message.pk).update(claim_id=uuid4())
    assert take(message) == set()
    assert written() == []


def test_a_mailbox_that_gets_no_more_mail_is_told_once_to_each_company_it_concerns():
    clients = [AuthorizedClientFactory(email=ANA, request_id=number) for number in (3, 4)]
    AuthorizedClientFactory(email=ANA, deauthorized_at=timezone.now())
    for _ in range(2):
        listing.add(ANA, Suppression.Reason.HARD_BOUNCE, partner=None, evidence="x", message=None, at=timezone.now())
    assert sorted(written(), key=lambda each: each[0].pk) == [
        (
            client.partner,
            "authorization.suppressed",
            str(client.pk),
            {"id_solicitud": client.request_id, "via": "C", "to": MASKED, "reason": "hard_bounce"},
        )
        for client in clients
    ]


def test_an_entry_of_one_company_is_told_to_that_one():
    mine, _ = [AuthorizedClientFactory(email=ANA) for _ in range(2)]
    listing.add_by_hand(ANA, partner=mine.partner, reason="lo pidió", by="eva", at=timezone.now())
    assert [(partner, data["reason"]) for partner, _, _, data in written()] == [(mine.partner, "manual")]
