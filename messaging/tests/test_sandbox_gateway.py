"""Sandbox gateway: the developer's outbox."""

from uuid import UUID

import pytest
from django.utils import timezone

from messaging.gateways import gateway_from_url
from messaging.gateways.base import MASK, Outgoing
from messaging.models import SandboxMessage


@pytest.mark.django_db
@pytest.mark.parametrize(("via", "recipient"), [("S", "987654321"), ("C", "ana@dominio.com")])
def test_a_message_lands_in_the_outbox_with_its_code_in_clear(via, recipient):
    before = timezone.now()
    message = Outgoing(
        id=UUID(int=7),
        kind="verificacion",
        via=via,
        recipient=recipient,
        subject="",
        text=f"Su código: {MASK}",
        html="",
        send_before=None,
    )
    receipt = gateway_from_url("sandbox://", via).send(message, "A1B2")
    assert (receipt.provider_id, receipt.reply) == (str(message.id), "sandbox")
    row = SandboxMessage.objects.get()
    assert (row.message_id, row.via, row.to, row.text) == (message.id, via, recipient, "Su código: A1B2")
    assert before <= row.created <= timezone.now()
