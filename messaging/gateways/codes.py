"""Meaning of a provider's own error code for a message."""

from dataclasses import dataclass
from enum import Enum

from messaging.gateways.base import GatewayError, OutcomeUnknown


class Verdict(Enum):
    PERMANENT = "permanent"  # this recipient or text is refused each time, by anybody
    DEFERRED = "deferred"  # not to this recipient, for now; the provider is well
    TEMPORARY = "temporary"  # about us or the provider, or unclear: another provider, or later
    THROTTLED = "throttled"  # too fast; no attempt is lost
    UNKNOWN = "unknown"  # it may have been taken


PERMANENT, DEFERRED, TEMPORARY, THROTTLED, UNKNOWN = Verdict


@dataclass(frozen=True, slots=True)
class Code:
    """Meaning of a code, and its text for staff, in Spanish."""

    verdict: Verdict
    reason: str

    def judgement(self, reply: str, *, retry_after: float | None = None) -> GatewayError | OutcomeUnknown:
        if self.verdict is UNKNOWN:
            return OutcomeUnknown(reply)
        return GatewayError(
            reply,
            permanent=self.verdict is PERMANENT,
            retry_after=retry_after,
            throttled=self.verdict is THROTTLED,
            about_recipient=self.verdict is DEFERRED,
        )
