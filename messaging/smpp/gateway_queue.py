"""Queue of one SMPP gateway: claims, hand-overs, records and delivery receipts in the database.

Answers are kept in memory until they are recorded, so that an outage of the database loses none of them.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from django.db import Error, InterfaceError, OperationalError, connection
from django.utils import timezone

from messaging import sql
from messaging.delivery import failover, send
from messaging.delivery.send import RETRY_DELAYS, Answer
from messaging.delivery.sweeper import SILENT_PROCESS
from messaging.gateways.base import OutcomeUnknown, Receipt
from messaging.gateways.smpp import SmppGateway
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.sealing import CannotUnseal, unseal
from messaging.smpp import delivery_receipts

log = logging.getLogger(__name__)

QUEUE = "codes"
NO_SESSION = "sin sesión SMPP: "
"""Prefix of the reason when this process opens the circuit of its provider. The sweep has another reason."""
REFRESH_AFTER = timedelta(seconds=2)
"""Age at which the due time of a message that waits for our own rate is renewed. The sweep takes it away after 5 s."""


class GatewayQueue:
    """The messages that wait for one gateway, and the answers that are not recorded yet."""

    def __init__(self, gateway: SmppGateway) -> None:
        self.gateway = gateway
        self.name = gateway.name
        self._unrecorded: deque[tuple[Message, Answer | None]] = deque()
        self._retry_at = 0.0

    # --- sending and recording ---

    def claim(self, limit: int) -> Sequence[Message]:
        """Claim up to `limit` messages for the 5 s of a lease. Empty while the database is unavailable."""
        if not self.record():
            return []  # answers are recorded first, so that their number is bounded
        try:
            return send.claim(QUEUE, at=timezone.now(), limit=limit, gateway_queue=self.name)
        except Error as error:
            self._database_failed(error)
            return []

    def hand_over(self, message: Message) -> tuple[bool, str | None]:
        """Hand over a message. Returns (may it be sent now, its code). In doubt the message goes back to the queue."""
        at = timezone.now()
        try:
            try:
                secret = self.secret_of(message)
            except CannotUnseal as error:
                send.record(message, "FAILED", at=at, reply=type(error).__name__)
                log.error("a message cannot be sent", extra={**message.log_fields, "fault": "CannotUnseal"})
                return False, None
            handed = send.hand_over(message, self.gateway, at=at)
        except Error as error:
            self._database_failed(error)
            self.give_back([message])
            return False, None
        if not handed:
            log.info("lost a claim before its hand-over", extra=message.log_fields)
        return handed, secret

    def secret_of(self, message: Message) -> str | None:
        """The code of a message that is claimed, decrypted. Raises CannotUnseal."""
        return unseal(bytes(message.sealed)) if message.sealed is not None else None

    def give_back(self, messages: Sequence[Message]) -> None:
        """Return claimed messages that did not leave, whether or not they were handed over. No attempt is lost."""
        self._unrecorded.extend((message, None) for message in messages)

    def add_answer(self, message: Message, answer: Answer) -> None:
        """Keep the answer for a message until `record` has written it."""
        self._unrecorded.append((message, answer))

    def record(self) -> bool:
        """Record the answers, oldest first. False: the database is unavailable and some still wait."""
        while self._unrecorded and time.monotonic() >= self._retry_at:
            message, answer = self._unrecorded[0]
            try:
                self._record_one(message, answer)
            except (OperationalError, InterfaceError) as error:
                self._database_failed(error)
                break
            except Exception:
                # A bug must not block the answers behind this one: its lease ends, and the message becomes UNKNOWN.
                log.exception("an answer could not be recorded", extra=message.log_fields)
            self._unrecorded.popleft()
        return not self._unrecorded and time.monotonic() >= self._retry_at

    def _record_one(self, message: Message, answer: Answer | None) -> None:
        """Record one answer. Idempotent: each step counts only for the claim of the message."""
        at = timezone.now()
        if answer is None:
            if send.take_back(message, at=at, detail="no llegó a salir"):
                wakeup.wake(QUEUE)
            return
        send.record_answer(message, answer, at=at, delays=RETRY_DELAYS)
        if isinstance(answer, (Receipt, OutcomeUnknown)):
            name = answer.provider_id if isinstance(answer, Receipt) else ""
            delivery_receipts.catch_up(self.name, message.id, name, at=at)
        send.report_result(self.name, answer, at=at)

    def _database_failed(self, error: Error) -> None:
        """Drop the database connection after a failure and try again in a second."""
        self._retry_at = time.monotonic() + 1
        connection.close()
        log.warning("the database did not answer", extra={"provider": self.name, "fault": type(error).__name__})

    # --- receipts ---

    def save_receipt(self, receipt: delivery_receipts.DeliveryReceipt) -> bool:
        """Store a receipt. False: the database is unavailable, and the SMSC must send the receipt again."""
        try:
            delivery_receipts.save(self.name, receipt, at=timezone.now(), sender=self.gateway.account.sender)
        except Error as error:
            self._database_failed(error)
            return False
        return True

    # --- health of the gateway ---

    def refresh_waiting(self) -> None:
        """Renew the due time of messages that wait for our own rate, so that the sweep does not take them away."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.REFRESH_GATEWAY_QUEUE,
                    {
                        "gateway_queue": self.name,
                        "late": timezone.now() - REFRESH_AFTER,
                        "waits": REFRESH_AFTER.total_seconds(),
                    },
                )
        except Error as error:
            self._database_failed(error)

    def close_circuit(self) -> None:
        """Close the circuit if it was opened because there was no session, or because this process was silent."""
        try:
            state = failover.open_circuits().get(self.name)
            if state is not None and (state.reason.startswith(NO_SESSION) or state.reason == SILENT_PROCESS):
                failover.report_result(self.name, failed=False, at=timezone.now())
        except Error as error:
            self._database_failed(error)

    def report_silent(self) -> None:
        """Report a failure because submits wait too long for their answers, as a worker does for its running calls."""
        try:
            failover.report_result(self.name, failed=True, at=timezone.now())
        except Error as error:
            self._database_failed(error)

    def open_circuit(self, reason: str) -> None:
        """Open the circuit because no session could be bound: other providers go first until one can."""
        at = timezone.now()
        try:
            if self.name in failover.open_circuits():
                failover.report_result(self.name, failed=True, at=at)  # doubles the backoff where it has ended
            else:
                failover.open_circuit(self.name, NO_SESSION + reason, at=at)
        except Error as error:
            self._database_failed(error)
