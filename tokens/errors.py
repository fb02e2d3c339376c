"""What a code can be refused for. All carry data, none knows HTTP."""

from datetime import datetime

from clients.errors import Refused
from tokens.cooldown import CooldownState


class CooldownActive(Refused):
    """The ladder asks for a wait until `available_at`; `state` is the ladder that holds."""

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
    """The 150 seconds are over, whether or not somebody has closed the token."""


class NoPendingToken(Refused):
    """The latest token, if any, is not one that can still be answered, cancelled or closed."""


class TokenStillActive(Refused):
    """Too early to register an expiry."""


class ViaNotAvailable(Refused):
    """This installation has no gateway for the via."""
