"""Error codes of providers: the outcome that each means for a message, and its text for staff."""

from dataclasses import dataclass
from enum import Enum

from messaging.gateways.base import GatewayError, OutcomeUnknown


class Outcome(Enum):
    """Outcome of a call that did not succeed."""

    PERMANENT = "permanent"  # every provider refuses this recipient or text each time
    DEFERRED = "deferred"  # temporary and about this recipient; no failure of the provider
    TEMPORARY = "temporary"  # about us or the provider, or unclear: another provider, or later
    THROTTLED = "throttled"  # too fast; no attempt is lost
    UNKNOWN = "unknown"  # perhaps taken


PERMANENT, DEFERRED, TEMPORARY, THROTTLED, UNKNOWN = Outcome


@dataclass(frozen=True, slots=True)
class Code:
    """The outcome of an error code and its reason for staff, in Spanish."""

    outcome: Outcome
    reason: str

    def to_exception(self, reply: str, *, retry_after: float | None = None) -> GatewayError | OutcomeUnknown:
        """The exception that a gateway raises for this code. It is returned, not raised."""
        if self.outcome is UNKNOWN:
            return OutcomeUnknown(reply)
        return GatewayError(
            reply,
            permanent=self.outcome is PERMANENT,
            retry_after=retry_after,
            throttled=self.outcome is THROTTLED,
            about_recipient=self.outcome is DEFERRED,
        )
