"""One bound session with an SMSC, used by one thread. No call waits longer than `Timing.poll`, except at the end."""

import itertools
import logging
import random
from collections import deque
from dataclasses import dataclass

from django.utils import timezone

from messaging.delivery import failover, send
from messaging.delivery.circuit_breaker import SILENT_AFTER
from messaging.delivery.send import Answer
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.gateways.smpp_codes import BIND, REFUSES_PAYLOAD, meaning
from messaging.models import Message
from messaging.queue.names import GATEWAY_BATCH
from messaging.smpp import delivery_receipts, pdus
from messaging.smpp.connection import Connection, ConnectionLost, Frame
from messaging.smpp.encoding import encoded, validity
from messaging.smpp.gateway_queue import GatewayQueue
from messaging.smpp.parts import Parts, SmscTraits
from messaging.smpp.timing import Rate, Timing, clock

log = logging.getLogger(__name__)


class BindRefused(ConnectionLost):
    """The SMSC answered our bind with an error. `status`: the command_status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{BIND.get(status, 'el SMSC rechaza la sesión')} (0x{status:08X})")
        self.status = status


@dataclass(frozen=True, slots=True)
class Submitted:
    """submit_sm that waits for its answer."""

    message: Message
    call: failover.Call
    end: int  # value of `Connection.written` once all of it has left
    at: float
    is_payload: bool = False  # its text is in message_payload
    parts: Parts | None = None  # the message it is a part of, where it is one


class Session:
    """A session: submits outstanding by sequence number; their answers go to the gateway's queue."""

    def __init__(
        self, queue: GatewayQueue, connection: Connection, rate: Rate, timing: Timing, traits: SmscTraits | None = None
    ) -> None:
        self._account = queue.gateway.account
        self._queue = queue
        self._connection = connection
        self._rate = rate
        self._timing = timing
        self._traits = traits or SmscTraits()
        self._sequences = itertools.count(1)
        self._references = itertools.count(random.randrange(256))  # noqa: S311  tells one long text from another
        self._parts: deque[Parts] = deque()  # messages whose next part is due
        self._outstanding: dict[int, Submitted] = {}
        self._late: dict[int, Submitted] = {}
        self._last_received = self._last_check = clock()
        self._enquired_at: float | None = None  # when our unanswered enquire_link was sent
        self._enquiry_sequence = 0  # its sequence number
        self._unbind: Frame | None = None  # the SMSC's request to end the session
        self._unbind_at = 0.0
        self._claim_was_full = False  # then the next claim follows at once

    def bind(self) -> None:
        """Bind. PDUs that arrive together with the answer are handled. Raises BindRefused, ConnectionLost."""
        number, deadline = next(self._sequences), clock() + self._timing.connect
        self._connection.put(pdus.bind(self._account, number))
        bound = False
        while not bound:
            if clock() > deadline:
                raise ConnectionLost("el SMSC no respondió al pedido de sesión")
            self._connection.wait(self._timing.poll)
            for frame in self._connection.receive():
                if frame.command & pdus.RESPONSE and frame.sequence == number:
                    if frame.status != pdus.OK or frame.command == pdus.GENERIC_NACK:
                        raise BindRefused(frame.status)
                    bound = True
                else:
                    self._handle(frame)
            if self._connection.ended and not bound:
                raise ConnectionLost(self._connection.ended)

    def step(self, *, sending: bool = True) -> None:
        """Handle input, check timeouts, send due messages. Raises ConnectionLost once the connection has ended."""
        self._connection.wait(0 if self._claim_was_full else self._timing.poll)
        for frame in self._connection.receive():
            self._last_received, self._enquired_at = clock(), None
            self._handle(frame)
        self._queue.record()
        self._check_timeouts()
        self._claim_was_full = False
        self._send_parts()
        if sending and self._unbind is None:
            self._send_due()
            self._check_queue()
        if self._connection.ended:
            raise ConnectionLost(self._connection.ended)

    def finish(self) -> None:
        """Wait for outstanding answers, then unbind. Raises ConnectionLost if the connection ends first."""
        deadline = clock() + self._timing.answer
        while (self._outstanding or self._parts) and clock() < deadline:
            self.step(sending=False)
        self._connection.put(pdus.pdu("unbind", next(self._sequences)))
        deadline = clock() + self._timing.unbind
        while clock() < deadline:
            self.step(sending=False)

    def abandon(self) -> None:
        """Close the session. Submits that left may have been taken: UNKNOWN; others go back to the queue."""
        cut = "smpp: se cortó la conexión antes de la respuesta"
        for submitted in self._outstanding.values():
            if submitted.end <= self._connection.written:
                self._settle(submitted, OutcomeUnknown(cut))
            elif submitted.parts is not None:
                self._end_parts(submitted.parts, cut)
            else:
                submitted.call.ended(failed=None)
                self._queue.give_back([submitted.message])
        for parts in self._parts:
            self._end_parts(parts, cut)
        self._outstanding.clear()
        self._parts.clear()
        self._connection.close()

    # --- incoming PDUs ---

    def _handle(self, frame: Frame) -> None:
        if frame.command in (pdus.SUBMIT_RESP, pdus.GENERIC_NACK):
            self._handle_response(frame)
        elif frame.command == pdus.UNBIND_RESP:
            self._connection.ended = self._connection.ended or "sesión terminada"
        elif frame.command & pdus.RESPONSE or frame.command == pdus.ALERT_NOTIFICATION:
            pass  # the answer to our enquire_link; an alert_notification, which takes no answer
        elif frame.command in (pdus.DELIVER_SM, pdus.DATA_SM):
            self._connection.put(pdus.answer(frame, self._handle_receipt(frame)))
        elif frame.command == pdus.UNBIND:
            self._unbind, self._unbind_at = frame, clock()  # answered when nothing is outstanding
        else:
            self._connection.put(pdus.answer(frame))

    def _handle_receipt(self, frame: Frame) -> int:
        """Store a receipt, ignore a telephone's message. Returns the status of our answer."""
        receipt = delivery_receipts.read(frame)
        if receipt is None:
            log.info("a telephone wrote to us; nobody reads that", extra={"provider": self._queue.name})
            return pdus.OK
        return pdus.OK if self._queue.save_receipt(receipt) else pdus.RETRY_LATER

    def _handle_response(self, frame: Frame) -> None:
        submitted = self._outstanding.pop(frame.sequence, None)
        if submitted is not None:
            self._handle_submit_resp(submitted, frame)
            return
        late = self._late.pop(frame.sequence, None)
        is_whole = late is not None and (late.parts is None or late.parts.is_last)
        if late is not None and is_whole and isinstance(answer := _classify(frame, late.message), Receipt):
            self._queue.add_answer(late.message, answer)  # UNKNOWN -> SENT
        elif frame.command == pdus.GENERIC_NACK and frame.sequence != self._enquiry_sequence:
            self._connection.ended = "el SMSC no entendió lo que enviamos"
        else:
            log.warning("an answer to nothing that waits", extra={"provider": self._queue.name, "status": frame.status})

    def _handle_submit_resp(self, submitted: Submitted, frame: Frame) -> None:
        """Apply an answer that came in time: to its message, to our rate, and to the way long texts are sent."""
        if submitted.is_payload and frame.status in REFUSES_PAYLOAD:
            if not self._traits.refuses_payload:
                self._traits.refuses_payload = True
                log.warning(
                    "the SMSC refuses message_payload: long texts go in parts",
                    extra={"provider": self._queue.name, "status": frame.status},
                )
            self._split(submitted.message, self._queue.secret_of(submitted.message), submitted.call)
            return
        answer: Answer | None = _classify(frame, submitted.message)
        if isinstance(answer, GatewayError) and answer.throttled:
            self._rate.pause(self._timing.throttled, now=clock())
        if submitted.parts is not None and answer is not None:
            answer = submitted.parts.classify(answer, now=clock())
        if answer is not None:
            self._settle(submitted, answer)
        elif submitted.parts is not None:
            self._parts.append(submitted.parts)

    def _settle(self, submitted: Submitted, answer: Answer) -> None:
        submitted.call.ended(failed=answer.provider_failed)
        self._queue.add_answer(submitted.message, answer)

    # --- timeouts ---

    def _check_timeouts(self) -> None:
        now, timing = clock(), self._timing
        if self._connection.blocked_for(now=now) > timing.answer:
            self._connection.ended = "el SMSC no recibe lo que enviamos"
        for number, submitted in list(self._outstanding.items()):
            if now - submitted.at > timing.answer and submitted.end <= self._connection.written:
                self._late[number] = self._outstanding.pop(number)
                self._settle(submitted, OutcomeUnknown(f"smpp: sin respuesta en {timing.answer:g} s"))
        for number, submitted in list(self._late.items()):
            if now - submitted.at > timing.late:
                del self._late[number]
        if self._unbind is not None and (
            not (self._outstanding or self._parts) or now - self._unbind_at > timing.unbind
        ):
            self._connection.put(pdus.answer(self._unbind))
            self._connection.ended = self._connection.ended or "el SMSC terminó la sesión"
        elif self._enquired_at is not None and now - self._enquired_at > timing.answer:
            self._connection.ended = "el SMSC no responde (enquire_link)"
        elif self._enquired_at is None and now - self._last_received > timing.idle:
            self._enquiry_sequence, self._enquired_at = next(self._sequences), now
            self._connection.put(pdus.pdu("enquire_link", self._enquiry_sequence))

    def _check_queue(self) -> None:
        now = clock()
        if now - self._last_check < self._timing.check_every:
            return
        self._last_check = now
        if any(now - submitted.at > SILENT_AFTER for submitted in self._outstanding.values()):
            self._queue.report_silent()
        elif self._enquired_at is None:
            self._queue.close_circuit()
            self._queue.refresh_waiting()

    # --- sending ---

    def _send_due(self) -> None:
        free = min(self._account.window - len(self._outstanding) - len(self._parts), GATEWAY_BATCH)
        limit = self._rate.free_slots(free, now=clock())
        if limit <= 0 or not self._connection.is_writable:
            return
        batch = self._queue.claim(limit)
        self._claim_was_full = len(batch) == GATEWAY_BATCH
        for number, message in enumerate(batch):
            if not self._connection.is_writable:
                self._queue.give_back(batch[number:])
                return
            self._submit(message)

    def _submit(self, message: Message) -> None:
        handed, secret = self._queue.hand_over(message)
        if not handed:
            return
        valid_for = validity(message.send_before, at=timezone.now())
        if valid_for is None:
            self._queue.give_back([message])  # it expired after the hand-over: the sweep records that
            return
        outgoing = send.to_outgoing(message)
        is_long = encoded(outgoing.text_with(secret)).is_long
        if is_long and self._traits.refuses_payload:
            self._split(message, secret, failover.begin(self._queue.name))
            return
        number = next(self._sequences)
        try:
            octets = pdus.submit(self._account, number, outgoing, secret, validity=valid_for)
        except ValueError:
            self._queue.add_answer(message, GatewayError("el destino no es un celular", permanent=True))
            return
        call, now = failover.begin(self._queue.name), clock()
        self._outstanding[number] = Submitted(message, call, self._connection.put(octets), now, is_payload=is_long)
        self._rate.sent(now=now)

    def _split(self, message: Message, secret: str | None, call: failover.Call) -> None:
        """Send a message that is handed over in parts."""
        text = encoded(send.to_outgoing(message).text_with(secret))
        try:
            pieces = text.parts(next(self._references))
        except ValueError:
            call.ended(failed=None)
            self._queue.add_answer(message, GatewayError("el texto es demasiado largo", permanent=True))
            return
        self._parts.append(Parts(message, call, text.data_coding, pieces, clock()))

    def _send_parts(self) -> None:
        while self._parts and self._connection.is_writable and self._rate.free_slots(1, now=clock()) > 0:
            self._send_part(self._parts.popleft())

    def _send_part(self, parts: Parts) -> None:
        valid_for = validity(parts.message.send_before, at=timezone.now())
        if valid_for is None:
            self._end_parts(parts, "smpp: venció antes de salir completo")
            return
        number, now = next(self._sequences), clock()
        try:
            octets = pdus.submit_part(
                self._account,
                number,
                parts.message.recipient,
                parts.next_piece,
                data_coding=parts.data_coding,
                is_last=parts.is_last,
                validity=valid_for,
            )
        except ValueError:
            parts.call.ended(failed=None)
            self._queue.add_answer(parts.message, GatewayError("el destino no es un celular", permanent=True))
            return
        self._outstanding[number] = Submitted(parts.message, parts.call, self._connection.put(octets), now, parts=parts)
        self._rate.sent(now=now)

    def _end_parts(self, parts: Parts, why: str) -> None:
        """Send no more parts. A message of which a part was taken must not be sent again."""
        parts.call.ended(failed=None)
        unclear = parts.unclear_outcome(why)
        if unclear is None:
            self._queue.give_back([parts.message])
        else:
            self._queue.add_answer(parts.message, unclear)


def _classify(frame: Frame, message: Message) -> Answer:
    """Turn the response to a submit_sm into an answer for the message."""
    if frame.command == pdus.SUBMIT_RESP and frame.status == pdus.OK:
        return Receipt(pdus.message_id(frame) or str(message.id), "smpp: aceptado")
    code = meaning(frame.status)
    return code.to_exception(f"smpp 0x{frame.status:08X}: {code.reason}")
