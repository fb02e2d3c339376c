"""What is counted and measured: name, kind, labels, and where the buckets of a histogram end.

Plain data. Every label has a closed list of values, so that no text of a partner, a provider or a person becomes one.
The page docs/metrics.md explains each metric to the operator; a test compares the two.
"""

from dataclasses import dataclass

DELAY_BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 150.0)
"""Seconds, up to the life of a code."""
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds, up to the limits of statements and locks together."""
INFINITE = "+Inf"
OTHER = "other"
"""Value of a label for what is in no closed list, such as a provider that is no longer in the settings."""
NONE = "none"
"""Value of a label for a message that no provider was asked to send."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter or, with buckets, a histogram. `name` is without the endings that OpenMetrics adds."""

    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()

    def bucket_of(self, seconds: float) -> str:
        """The label `le` of the narrowest bucket that holds a value."""
        return next((str(end) for end in self.buckets if seconds <= end), INFINITE)


MESSAGES = Metric(
    "aval_messages",
    "Changes of messages: SENDING is a hand-over to a provider, QUEUED a refusal for now or a lapsed claim.",
    ("via", "provider", "state"),
)
CODES = Metric("aval_codes", "Verification codes that ended, by outcome.", ("via", "outcome"))
HAND_OVER = Metric(
    "aval_code_handover_seconds",
    "From the request of a code to its first hand-over to a provider; without one, in the last bucket.",
    ("via",),
    DELAY_BUCKETS,
)
DELIVERED = Metric(
    "aval_code_delivered_seconds", "From the request of a code to the receipt that it arrived.", ("via",), DELAY_BUCKETS
)
VERIFIED = Metric(
    "aval_code_verified_seconds", "From the request of a code to its verification.", ("via",), DELAY_BUCKETS
)
REQUESTS = Metric(
    "aval_request_seconds",
    "Calls of the contracts, from the first middleware to the answer.",
    ("contract", "status"),
    REQUEST_BUCKETS,
)
COUNTED = (MESSAGES, CODES, HAND_OVER, DELIVERED, VERIFIED, REQUESTS)
"""Metrics whose figures are in MetricTotal."""
