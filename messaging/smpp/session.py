"""Bound session with an SMSC. One thread runs it; apart from its end, nothing waits longer than `Pace.poll`."""

import itertools
import logging
import random
from collections import deque
from dataclasses import dataclass

from django.utils import timezone

from messaging.delivery import failover, send
from messaging.delivery.circuit_breaker import SILENT
from messaging.delivery.send import Answer
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.gateways.smpp_codes import BIND, REFUSES_PAYLOAD, meaning
from messaging.models import Message
from messaging.smpp import delivery_receipts, pdus
from messaging.smpp.connection import Frame, Line, LineBroken
from messaging.smpp.encoding import encoded, validity
from messaging.smpp.gateway_queue import Lane
from messaging.smpp.parts import Memory, Parts
from messaging.smpp.timing import Pace, Rate, clock

log = logging.getLogger(__name__)

MOST_AT_ONCE = 20
"""Messages of one claim: each must be handed over within its lease of 5 s."""


class BindRefused(LineBroken):
    """The SMSC answered our bind with an error. `status`: its command_status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{BIND.get(status, 'el SMSC rechaza la sesión')} (0x{status:08X})")
        self.status = status


@dataclass(frozen=True, slots=True)
class Submitted:
    """submit_sm that waits for its answer."""

    message: Message
    call: failover.Call
    end: int  # what `Line.written` is once all of it has left
    at: float
    is_payload: bool = False  # its text is in message_payload
    parts: Parts | None = None  # it is the next of these


class Session:
    """Session. Outstanding submits are known by their sequence number; outcomes go to the gateway's queue."""

    def __init__(self, lane: Lane, line: Line, rate: Rate, pace: Pace, memory: Memory | None = None) -> None:
        self._account = lane.gateway.account
        self._lane = lane
        self._line = line
        self._rate = rate
        self._pace = pace
        self._memory = memory or Memory()
        self._numbers = itertools.count(1)
        self._references = itertools.count(random.randrange(256))  # noqa: S311  tells one long text from another
        self._parts: deque[Parts] = deque()  # whose next part is due
        self._outstanding: dict[int, Submitted] = {}
        self._late: dict[int, Submitted] = {}
        self._heard = self._looked = clock()
        self._asked: float | None = None  # since when an enquire_link of ours waits
        self._enquiry = 0  # its number
        self._unbind: Frame | None = None  # the SMSC wants to end
        self._unbind_at = 0.0
        self._more = False  # the last claim was full: look again at once

    def bind(self) -> None:
        """Raises BindRefused, LineBroken. PDUs that come with the answer are handled."""
        number, deadline = next(self._numbers), clock() + self._pace.connect
        self._line.put(pdus.bind(self._account, number))
        bound = False
        while not bound:
            if clock() > deadline:
                raise LineBroken("el SMSC no respondió al pedido de sesión")
            self._line.wait(self._pace.poll)
            for frame in self._line.receive():
                if frame.command & pdus.RESPONSE and frame.sequence == number:
                    if frame.status != pdus.OK or frame.command == pdus.GENERIC_NACK:
                        raise BindRefused(frame.status)
                    bound = True
                else:
                    self._hear(frame)
            if self._line.ended and not bound:
                raise LineBroken(self._line.ended)

    def step(self, *, sending: bool = True) -> None:
        """Handle what came, time out what did not, send what is due. Raises LineBroken once the connection has
        ended."""
        self._line.wait(0 if self._more else self._pace.poll)
        for frame in self._line.receive():
            self._heard, self._asked = clock(), None
            self._hear(frame)
        self._lane.record()
        self._watch_the_clock()
        self._more = False
        self._send_parts()
        if sending and self._unbind is None:
            self._send_due()
            self._look_at_the_lane()
        if self._line.ended:
            raise LineBroken(self._line.ended)

    def finish(self) -> None:
        """Wait for outstanding answers, then unbind. Raises LineBroken if the connection ends first."""
        deadline = clock() + self._pace.answer
        while (self._outstanding or self._parts) and clock() < deadline:
            self.step(sending=False)
        self._line.put(pdus.pdu("unbind", next(self._numbers)))
        deadline = clock() + self._pace.farewell
        while clock() < deadline:
            self.step(sending=False)

    def abandon(self) -> None:
        """End, whatever the reason: what was written may have been taken, what was not written completely was not."""
        cut = "smpp: se cortó la conexión antes de la respuesta"
        for submitted in self._outstanding.values():
            if submitted.end <= self._line.written:
                self._settle(submitted, OutcomeUnknown(cut))
            elif submitted.parts is not None:
                self._end_parts(submitted.parts, cut)
            else:
                submitted.call.ended(failed=None)
                self._lane.give_back([submitted.message])
        for parts in self._parts:
            self._end_parts(parts, cut)
        self._outstanding.clear()
        self._parts.clear()
        self._line.close()

    # --- what is heard ---

    def _hear(self, frame: Frame) -> None:
        if frame.command in (pdus.SUBMIT_RESP, pdus.GENERIC_NACK):
            self._answered(frame)
        elif frame.command == pdus.UNBIND_RESP:
            self._line.ended = self._line.ended or "sesión terminada"
        elif frame.command & pdus.RESPONSE or frame.command == pdus.ALERT_NOTIFICATION:
            pass  # to an enquire_link of ours; the latter asks for no answer
        elif frame.command in (pdus.DELIVER_SM, pdus.DATA_SM):
            self._line.put(pdus.answer(frame, self._received(frame)))
        elif frame.command == pdus.UNBIND:
            self._unbind, self._unbind_at = frame, clock()  # answered when nothing is outstanding
        else:
            self._line.put(pdus.answer(frame))

    def _received(self, frame: Frame) -> int:
        """Receipt or message from a telephone; the status to answer it with, once it is stored."""
        word = delivery_receipts.read(frame)
        if word is None:
            log.info("a telephone wrote to us; nobody reads that", extra={"provider": self._lane.name})
            return pdus.OK
        return pdus.OK if self._lane.report(word) else pdus.LATER

    def _answered(self, frame: Frame) -> None:
        submitted = self._outstanding.pop(frame.sequence, None)
        if submitted is not None:
            self._came_of(submitted, frame)
            return
        late = self._late.pop(frame.sequence, None)
        is_whole = late is not None and (late.parts is None or late.parts.at_last)
        if late is not None and is_whole and isinstance(answer := _judged(frame, late.message), Receipt):
            self._lane.answered(late.message, answer)  # UNKNOWN -> SENT
        elif frame.command == pdus.GENERIC_NACK and frame.sequence != self._enquiry:
            self._line.ended = "el SMSC no entendió lo que enviamos"
        else:
            log.warning("an answer to nothing that waits", extra={"provider": self._lane.name, "status": frame.status})

    def _came_of(self, submitted: Submitted, frame: Frame) -> None:
        """Effect of an answer in time: on its message, on our rate, and on how long texts are sent from now on."""
        if submitted.is_payload and frame.status in REFUSES_PAYLOAD:
            if not self._memory.refuses_payload:
                self._memory.refuses_payload = True
                log.warning(
                    "the SMSC refuses message_payload: long texts go in parts",
                    extra={"provider": self._lane.name, "status": frame.status},
                )
            self._divide(submitted.message, self._lane.secret_of(submitted.message), submitted.call)
            return
        answer: Answer | None = _judged(frame, submitted.message)
        if isinstance(answer, GatewayError) and answer.throttled:
            self._rate.rest(self._pace.throttled, now=clock())
        if submitted.parts is not None and answer is not None:
            answer = submitted.parts.judged(answer, now=clock())
        if answer is not None:
            self._settle(submitted, answer)
        elif submitted.parts is not None:
            self._parts.append(submitted.parts)

    def _settle(self, submitted: Submitted, answer: Answer) -> None:
        submitted.call.ended(failed=send.says_of_its_health(answer))
        self._lane.answered(submitted.message, answer)

    # --- what is not heard ---

    def _watch_the_clock(self) -> None:
        now, pace = clock(), self._pace
        if self._line.stuck_for(now=now) > pace.answer:
            self._line.ended = "el SMSC no recibe lo que enviamos"
        for number, submitted in list(self._outstanding.items()):
            if now - submitted.at > pace.answer and submitted.end <= self._line.written:
                self._late[number] = self._outstanding.pop(number)
                self._settle(submitted, OutcomeUnknown(f"smpp: sin respuesta en {pace.answer:g} s"))
        for number, submitted in list(self._late.items()):
            if now - submitted.at > pace.late:
                del self._late[number]
        if self._unbind is not None and (
            not (self._outstanding or self._parts) or now - self._unbind_at > pace.farewell
        ):
            self._line.put(pdus.answer(self._unbind))
            self._line.ended = self._line.ended or "el SMSC terminó la sesión"
        elif self._asked is not None and now - self._asked > pace.answer:
            self._line.ended = "el SMSC no responde (enquire_link)"
        elif self._asked is None and now - self._heard > pace.idle:
            self._enquiry, self._asked = next(self._numbers), now
            self._line.put(pdus.pdu("enquire_link", self._enquiry))

    def _look_at_the_lane(self) -> None:
        now = clock()
        if now - self._looked < self._pace.look:
            return
        self._looked = now
        if any(now - submitted.at > SILENT for submitted in self._outstanding.values()):
            self._lane.looks_silent()
        elif self._asked is None:
            self._lane.is_well()
            self._lane.keep_waiting()

    # --- what is due ---

    def _send_due(self) -> None:
        room = min(self._account.window - len(self._outstanding) - len(self._parts), MOST_AT_ONCE)
        limit = self._rate.room(room, now=clock())
        if limit <= 0 or not self._line.is_writable:
            return
        batch = self._lane.claim(limit)
        self._more = len(batch) == MOST_AT_ONCE
        for number, message in enumerate(batch):
            if not self._line.is_writable:
                self._lane.give_back(batch[number:])
                return
            self._submit(message)

    def _submit(self, message: Message) -> None:
        handed, secret = self._lane.hand_over(message)
        if not handed:
            return
        left = validity(message.send_before, at=timezone.now())
        if left is None:
            self._lane.give_back([message])  # its life ended between two statements: the sweep says so
            return
        letter = send.outgoing(message)
        is_long = encoded(letter.text_with(secret)).is_long
        if is_long and self._memory.refuses_payload:
            self._divide(message, secret, failover.begin(self._lane.name))
            return
        number = next(self._numbers)
        try:
            octets = pdus.submit(self._account, number, letter, secret, validity=left)
        except ValueError:
            self._lane.answered(message, GatewayError("el destino no es un celular", permanent=True))
            return
        call, now = failover.begin(self._lane.name), clock()
        self._outstanding[number] = Submitted(message, call, self._line.put(octets), now, is_payload=is_long)
        self._rate.sent(now=now)

    def _divide(self, message: Message, secret: str | None, call: failover.Call) -> None:
        """Send a message that is handed over in parts."""
        text = encoded(send.outgoing(message).text_with(secret))
        try:
            pieces = text.parts(next(self._references))
        except ValueError:
            call.ended(failed=None)
            self._lane.answered(message, GatewayError("el texto es demasiado largo", permanent=True))
            return
        self._parts.append(Parts(message, call, text.data_coding, pieces, clock()))

    def _send_parts(self) -> None:
        while self._parts and self._line.is_writable and self._rate.room(1, now=clock()) > 0:
            self._send_part(self._parts.popleft())

    def _send_part(self, parts: Parts) -> None:
        left = validity(parts.message.send_before, at=timezone.now())
        if left is None:
            self._end_parts(parts, "smpp: venció antes de salir completo")
            return
        number, now = next(self._numbers), clock()
        try:
            octets = pdus.submit_part(
                self._account,
                number,
                parts.message.recipient,
                parts.next_piece,
                data_coding=parts.data_coding,
                is_last=parts.at_last,
                validity=left,
            )
        except ValueError:
            parts.call.ended(failed=None)
            self._lane.answered(parts.message, GatewayError("el destino no es un celular", permanent=True))
            return
        self._outstanding[number] = Submitted(parts.message, parts.call, self._line.put(octets), now, parts=parts)
        self._rate.sent(now=now)

    def _end_parts(self, parts: Parts, why: str) -> None:
        """Stop sending its parts: once one was taken, nobody may send it again."""
        parts.call.ended(failed=None)
        unclear = parts.cut_off(why)
        if unclear is None:
            self._lane.give_back([parts.message])
        else:
            self._lane.answered(parts.message, unclear)


def _judged(frame: Frame, message: Message) -> Answer:
    """Outcome of an answer to a submit_sm."""
    if frame.command == pdus.SUBMIT_RESP and frame.status == pdus.OK:
        return Receipt(pdus.message_id(frame) or str(message.id), "smpp: aceptado")
    code = meaning(frame.status)
    return code.judgement(f"smpp 0x{frame.status:08X}: {code.reason}")
