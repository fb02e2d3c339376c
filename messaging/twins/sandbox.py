"""Gateways of a test twin: they keep each message in the twin's outbox, and answer and report what its recipient says.

Reports go the way of a provider's: a report that comes before our record of the answer is stored and applied after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from clients.postgresql import exchange
from messaging.delivery import mail_feedback, receipts
from messaging.delivery.mail_feedback import COMPLAINED, MailFeedback
from messaging.delivery.receipts import Report
from messaging.gateways.base import Gateway, GatewayError, OutcomeUnknown, Outgoing, Receipt
from messaging.models import Message, RecipientFeedback, Via
from messaging.sandbox_sql import ADD_MESSAGE_OF_TWIN, DUE_RECEIPTS, RECEIPT_SENT
from messaging.steps import run_each
from messaging.twins import FAMILY, PROVIDERS
from messaging.twins.recipients import Case, case_of

LATE_AFTER = timedelta(minutes=3)
"""Time after which a late message is reported: more than the life of a code."""


@dataclass
class TwinGateway:
    """One of the two providers of each via of a twin."""

    name: str
    own_process: bool = False

    def send(self, message: Outgoing, secret: str | None) -> Receipt:
        case = case_of(message.recipient)
        if case is Case.REFUSED:
            raise GatewayError("pruebas: destinatario rechazado", permanent=True)
        if case is Case.SECOND_PROVIDER and self.name == PROVIDERS[0]:
            raise GatewayError("pruebas: el primer proveedor falla", permanent=False)
        at = timezone.now()
        _keep(message, secret, receipt_at=at + LATE_AFTER if case is Case.LATE else None, at=at)
        if case is Case.UNKNOWN:
            raise OutcomeUnknown("pruebas: sin respuesta clara")
        if case is not Case.LATE:
            receipts.receive(_report(message, case), at=at)
        if case is Case.COMPLAINS:
            mail_feedback.save(MailFeedback(FAMILY, str(message.id), COMPLAINED, message.id), at=at)
        return Receipt(provider_id=str(message.id), reply="pruebas")


GATEWAYS: Sequence[Gateway] = tuple(TwinGateway(name) for name in PROVIDERS)


def _keep(message: Outgoing, secret: str | None, *, receipt_at: datetime | None, at: datetime) -> None:
    row = {
        "message_id": message.id,
        "via": message.via,
        "to": message.recipient,
        "text": message.text_with(secret),
        "created": at,
        "receipt_at": receipt_at,
    }
    exchange((ADD_MESSAGE_OF_TWIN, row))


def _report(message: Outgoing, case: Case) -> Report:
    """The sandbox's report on a message that it has taken."""
    bounce = RecipientFeedback.Kind.HARD_BOUNCE if case is Case.BOUNCES and message.via == Via.EMAIL else ""
    lost = case in (Case.UNDELIVERABLE, Case.BOUNCES) or (case is Case.NOT_ON_WHATSAPP and message.via == Via.WHATSAPP)
    return Report(
        FAMILY,
        str(message.id),
        Message.State.UNDELIVERED if lost else Message.State.DELIVERED,
        detail="pruebas: no se pudo entregar" if lost else "pruebas",
        bounce=str(bounce),
    )


def report_late(*, at: datetime, twin: int | None = None) -> int:
    """Report the late messages that are due, of one twin or of all; return how many. A crash repeats a report, which
    then changes nothing."""
    (rows,) = exchange((DUE_RECEIPTS, {"at": at, "twin": twin}))
    run_each("twins.report_late", [(str(message), partial(_report_late, row, message, at)) for row, message in rows])
    return len(rows)


def _report_late(row: int, message: object, at: datetime) -> None:
    receipts.receive(Report(FAMILY, str(message), Message.State.DELIVERED, detail="pruebas: llegó tarde"), at=at)
    exchange((RECEIPT_SENT, {"row": row}))
