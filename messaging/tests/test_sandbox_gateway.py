"""Sandbox gateway: the developer's outbox."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from clients.postgresql import exchange
from messaging.gateways import gateway_from_url, sandbox
from messaging.gateways.base import MASK, Outgoing
from messaging.models import SandboxMessage


def outgoing(number, via, recipient):
    return Outgoing(
        id=UUID(int=number),
        kind="verificacion",
        via=via,
        recipient=recipient,
        subject="",
        text=f"Su código: {MASK}",
        html="",
        send_before=None,
    )


@pytest.mark.django_db
@pytest.mark.parametrize(("via", "recipient"), [("S", "987654321"), ("C", "ana@dominio.com")])
def test_a_message_lands_in_the_outbox_with_its_code_in_clear(via, recipient):
    before = timezone.now()
    message = outgoing(7, via, recipient)
    receipt = gateway_from_url("sandbox://", via).send(message, "A1B2")
    assert (receipt.provider_id, receipt.reply) == (str(message.id), "sandbox")
    row = SandboxMessage.objects.get()
    assert (row.message_id, row.via, row.to, row.text) == (message.id, via, recipient, "Su código: A1B2")
    assert before <= row.created <= timezone.now()


@pytest.mark.django_db(transaction=True)
def test_messages_of_several_threads_are_all_there_when_each_is_told_so(monkeypatch):
    """Most go in the statement of another thread, which must have committed by then."""
    gateway, statements = gateway_from_url("sandbox://", "S"), []

    def counted(*given):
        statements.append(given)
        time.sleep(0.02)
        return exchange(*given)

    monkeypatch.setattr(sandbox, "exchange", counted)

    def send(number):
        try:
            gateway.send(outgoing(number, "S", f"9{number:08}"), f"{number:04}")
            return SandboxMessage.objects.filter(message_id=UUID(int=number), to=f"9{number:08}").values_list("text")[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        texts = list(threads.map(send, range(20)))
    assert texts == [(f"Su código: {number:04}",) for number in range(20)]
    assert len(statements) < 20


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_is_undone_takes_no_message_of_another_thread_with_it():
    gateway = gateway_from_url("sandbox://", "C")

    def in_a_transaction():
        with transaction.atomic():
            gateway.send(outgoing(1, "C", "ana@dominio.com"), None)
            raise ValueError("undone")

    def outside():
        gateway.send(outgoing(2, "C", "eva@dominio.com"), None)

    def closing(act):
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        with sandbox._group._turn:  # the statement of a third thread runs
            waits = threads.submit(closing, outside)
            with pytest.raises(ValueError, match="undone"):
                threads.submit(closing, in_a_transaction).result(5)
        waits.result(5)
    assert [each.message_id for each in SandboxMessage.objects.all()] == [UUID(int=2)]
