"""Numbers of rows that the benchmarks use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of one run."""

    clients: int
    """Authorised clients of the partner, listed by `clientes_autorizados`."""
    new_rows: int
    """Rows of one `alta`."""
    messages: int
    """Messages listed by `mensajes_enviados`."""
    mails: int
    """Mails of one campaign; no more than are created ahead, or the sweep would be measured too."""
    queued: int
    """Queued bulletins that codes must overtake."""
    codes: int
    """Codes of each variant."""
    events: int
    """Events in the feed."""


FULL = Sizes(
    clients=100_000, new_rows=10_000, messages=1_000_000, mails=4_000, queued=20_000, codes=200, events=10_000_000
)
SMALL = Sizes(clients=2_000, new_rows=500, messages=20_000, mails=200, queued=1_000, codes=10, events=20_000)
"""To check that a benchmark works; its results mean nothing."""
