"""Messages sent in parts: one submit_sm for each segment, for an SMSC that refuses message_payload.

The next part leaves when the SMSC has taken the one before. So a refusal of the first part is a refusal of the message,
which may be offered again. Any later failure leaves the message UNKNOWN, because a part of it was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from messaging.delivery import failover
from messaging.delivery.send import Answer
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.models import Message

PART_RETRY_PERIOD = 5.0
"""Seconds in which a throttled part is sent again. Together with ten seconds each for the answers to the payload and to
the last part, this is less than the lease of a hand-over."""


@dataclass
class SmscTraits:
    """Traits of an SMSC that this process has observed. Kept from one session to the next."""

    refuses_payload: bool = False


@dataclass
class Parts:
    """A message that is being sent in parts."""

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
    def is_last(self) -> bool:
        return self.taken == len(self.pieces) - 1

    def unclear_outcome(self, why: str) -> OutcomeUnknown | None:
        """The answer to record if sending stops now. None: no part was taken, the message may go back to the queue."""
        if not self.taken:
            return None
        return OutcomeUnknown(f"{why}; el SMSC había tomado {self.taken} de {len(self.pieces)} partes")

    def classify(self, answer: Answer, *, now: float) -> Answer | None:
        """Turn the answer to a part into the answer for the message. None: send the next part, or this one again."""
        if isinstance(answer, Receipt):
            if self.is_last:
                return answer
            self.taken += 1
            return None
        if not isinstance(answer, GatewayError) or not self.taken:
            return answer
        if answer.throttled and now - self.began < PART_RETRY_PERIOD:
            return None
        return self.unclear_outcome(answer.reply)
