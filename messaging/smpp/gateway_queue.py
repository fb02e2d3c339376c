"""Queue of an SMPP gateway in the database: claim, hand over and record, as in any worker.

Answers are kept in memory until they are recorded, so that an unavailable database costs no record of a sent message.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from django.db import Error, InterfaceError, OperationalError, connection
from django.utils import timezone

from messaging.delivery import failover, send
from messaging.delivery.send import RETRY_DELAYS, Answer
from messaging.delivery.sweeper import SILENT_PROCESS
from messaging.gateways.base import OutcomeUnknown, Receipt
from messaging.gateways.smpp import SmppGateway
from messaging.models import Message
from messaging.queue import wakeup
from messaging.queue.names import QUEUES
from messaging.queue.sealing import CannotUnseal, unseal
from messaging.smpp import delivery_receipts

log = logging.getLogger(__name__)

QUEUE = "codes"
NO_LINE = "sin sesión SMPP: "
"""Prefix of the reason for which this process opens its provider's circuit; the sweeper has another."""
WAITS = timedelta(seconds=2)
"""How long a message waits for our own rate before its claim on the queue is renewed; the sweeper releases it after 5
s."""


class Lane:
    """Messages that wait for one gateway, and answers that wait for the database."""

    def __init__(self, gateway: SmppGateway) -> None:
        self.gateway = gateway
        self.name = gateway.name
        self._unrecorded: deque[tuple[Message, Answer | None]] = deque()
        self._next_try = 0.0

    # --- on its way out ---

    def claim(self, limit: int) -> Sequence[Message]:
        """Claim up to so many messages for the 5 s of a lease. Empty while the database is unavailable."""
        if not self.record():
            return []  # first what was: a full memory of answers must not grow
        try:
            return send.claim(QUEUE, at=timezone.now(), limit=limit, gateway_queue=self.name)
        except Error as fault:
            self._away(fault)
            return []

    def hand_over(self, message: Message) -> tuple[bool, str | None]:
        """Whether the message may be sent now, and its code. In doubt it goes back to the queue."""
        at = timezone.now()
        try:
            try:
                secret = self.secret_of(message)
            except CannotUnseal as fault:
                send.record(message, "FAILED", at=at, reply=type(fault).__name__)
                log.error("a message cannot be sent", extra={"message_id": str(message.id), "fault": "CannotUnseal"})
                return False, None
            handed = send.hand_over(message, self.gateway, at=at)
        except Error as fault:
            self._away(fault)
            self.give_back([message])
            return False, None
        if not handed:
            log.info("lost a claim before its hand-over", extra={"message_id": str(message.id)})
        return handed, secret

    def secret_of(self, message: Message) -> str | None:
        """Code of a message that was handed over, once more."""
        return unseal(bytes(message.sealed)) if message.sealed is not None else None

    def give_back(self, messages: Sequence[Message]) -> None:
        """Messages that were not sent, whether or not they were marked as handed over: no attempt is counted."""
        self._unrecorded.extend((message, None) for message in messages)

    def answered(self, message: Message, answer: Answer) -> None:
        """Outcome of a message. It counts once it is recorded."""
        self._unrecorded.append((message, answer))

    def record(self) -> bool:
        """Record outcomes, oldest first; False: the database is unavailable, and some of them wait."""
        while self._unrecorded and time.monotonic() >= self._next_try:
            message, answer = self._unrecorded[0]
            try:
                self._record_one(message, answer)
            except (OperationalError, InterfaceError) as fault:
                self._away(fault)
                break
            except Exception:
                # A fault of our own must not stop all that comes behind: the row's lease ends, and it is UNKNOWN.
                log.exception("an answer could not be recorded", extra={"message_id": str(message.id)})
            self._unrecorded.popleft()
        return not self._unrecorded and time.monotonic() >= self._next_try

    def _record_one(self, message: Message, answer: Answer | None) -> None:
        """Idempotent: each step counts only for the message's claim."""
        at = timezone.now()
        if answer is None:
            if send.take_back(message, at=at, detail="no llegó a salir"):
                wakeup.wake(QUEUE)
            return
        send.note(message, answer, at=at, delays=RETRY_DELAYS)
        if isinstance(answer, (Receipt, OutcomeUnknown)):
            name = answer.provider_id if isinstance(answer, Receipt) else ""
            delivery_receipts.catch_up(self.name, message.id, name, at=at)
        send.settle(self.name, answer, at=at)

    def _away(self, fault: Error) -> None:
        """The database failed: drop its connection, and try again in a second."""
        self._next_try = time.monotonic() + 1
        connection.close()
        log.warning("the database did not answer", extra={"provider": self.name, "fault": type(fault).__name__})

    # --- receipts ---

    def report(self, word: delivery_receipts.Word) -> bool:
        """Store a receipt; False: the database is unavailable, and the sender must repeat it."""
        try:
            delivery_receipts.keep(self.name, word, at=timezone.now(), sender=self.gateway.account.sender)
        except Error as fault:
            self._away(fault)
            return False
        return True

    # --- the lane as a whole ---

    def keep_waiting(self) -> None:
        """Renew messages that wait for our own rate, so that the sweeper does not release them."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"""
                    UPDATE messaging_message SET next_attempt_at = next_attempt_at + make_interval(secs => %(waits)s)
                    WHERE state = 'QUEUED' AND {QUEUES[QUEUE]} AND lane = %(gateway_queue)s
                        AND next_attempt_at < %(late)s
                    """,  # noqa: S608  a constant
                    {"gateway_queue": self.name, "late": timezone.now() - WAITS, "waits": WAITS.total_seconds()},
                )
        except Error as fault:
            self._away(fault)

    def is_well(self) -> None:
        """The session is bound and answers: close a circuit that was opened for lack of one."""
        try:
            state = failover.open_circuits().get(self.name)
            if state is not None and (state.reason.startswith(NO_LINE) or state.reason == SILENT_PROCESS):
                failover.settle(self.name, failed=False, at=timezone.now())
        except Error as fault:
            self._away(fault)

    def looks_silent(self) -> None:
        """Submits have waited too long for their answer: apply the circuit breaker, as every worker does."""
        try:
            failover.settle(self.name, failed=True, at=timezone.now())
        except Error as fault:
            self._away(fault)

    def has_no_line(self, reason: str) -> None:
        """The bind failed: other providers go first until it succeeds."""
        at = timezone.now()
        try:
            if self.name in failover.open_circuits():
                failover.settle(self.name, failed=True, at=at)  # for longer, where its time was up
            else:
                failover.open_circuit(self.name, NO_LINE + reason, at=at)
        except Error as fault:
            self._away(fault)
