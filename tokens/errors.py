"""Errors of codes. They carry data and know nothing of HTTP."""

from datetime import datetime

from clients.errors import Refused
from tokens.cooldown import CooldownState


class CooldownActive(Refused):
    """The ladder asks for a wait until `available_at`; `state` is that of the ladder that applies."""

    def __init__(self, state: CooldownState, *, via: str, at: datetime) -> None:
        super().__init__()
        self.state = state
        self.via = via
        self.at = at


class WrongCode(Refused):
    """Not the code; `attempts_remaining` tries are left (1 to 4)."""

    def __init__(self, attempts_remaining: int) -> None:
        super().__init__()
        self.attempts_remaining = attempts_remaining


class TriesUsedUp(Refused):
    """The fifth wrong code: the token is FALLIDO."""


class TokenExpired(Refused):
    """The 150 seconds are over, whether or not the token has been closed."""


class NoPendingToken(Refused):
    """The latest token, if any, can no longer be answered, cancelled or closed."""


class TokenStillActive(Refused):
    """Too early to register an expiry."""


class ViaNotAvailable(Refused):
    """This installation has no gateway for the via."""
