"""Text of several segments for an SMSC that refuses message_payload: one submit for each part, one after another.

The next part is sent when the one before was taken. So a refusal of the first part is a refusal of the message, which
may be offered again; any later failure leaves it UNKNOWN, since a part was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messaging.delivery import failover
from messaging.delivery.send import Answer
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.models import Message

PATIENCE = 5.0
"""Seconds in which a throttled part is offered again. With ten each for the answers to the payload and to the last
part, less than a hand-over's lease."""


@dataclass
class Memory:
    """What one process knows about an SMSC; it outlives a session."""

    refuses_payload: bool = False


@dataclass
class Parts:
    """Message that is being sent in parts."""

    message: Message
    call: failover.Call
    data_coding: int
    pieces: Sequence[bytes]
    began: float
    taken: int = 0

    @property
    def next_piece(self) -> bytes:
        return self.pieces[self.taken]

    @property
    def at_last(self) -> bool:
        return self.taken == len(self.pieces) - 1

    def cut_off(self, why: str) -> OutcomeUnknown | None:
        """Outcome if it ends now; None: no part was taken, and it may go back."""
        if not self.taken:
            return None
        return OutcomeUnknown(f"{why}; el SMSC había tomado {self.taken} de {len(self.pieces)} partes")

    def judged(self, answer: Answer, *, now: float) -> Answer | None:
        """Outcome after the answer to a part; None: the next part follows, or this one again."""
        if isinstance(answer, Receipt):
            if self.at_last:
                return answer
            self.taken += 1
            return None
        if not isinstance(answer, GatewayError) or not self.taken:
            return answer
        if answer.throttled and now - self.began < PATIENCE:
            return None
        return self.cut_off(answer.reply)
