"""How much of everything a benchmark works with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    clients: int
    """Authorised for the partner before anything is measured; `clientes_autorizados` lists them."""
    new_rows: int
    """Of one alta."""
    messages: int
    """That `mensajes_enviados` lists."""
    mails: int
    """Of one campaign; at most what is made ahead of it, or its sweep is measured too."""
    queued: int
    """Bulletins that codes must overtake."""
    codes: int
    """Asked for over each way."""


FULL = Sizes(clients=100_000, new_rows=10_000, messages=1_000_000, mails=4_000, queued=20_000, codes=200)
SMALL = Sizes(clients=2_000, new_rows=500, messages=20_000, mails=200, queued=1_000, codes=10)
"""To see that a benchmark works; its figures mean nothing."""
