"""How much a caller may do: requests a minute, paid messages and wrong codes a day."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from clients.callers import limiting_key
from clients.models import Partner
from external_api.frontdoor.refusals import RateLimited
from messaging import rates
from messaging.models import PAID_VIAS

log = logging.getLogger(__name__)

REFUSED_SHARE = 5
"""Refused credentials may come at a fifth of an address's rate: guessing a key is slower than using one."""


@dataclass(frozen=True)
class Caller:
    """Who is counted: the partner, or in open mode the address."""

    partner: Partner | None
    address: str

    @property
    def key(self) -> str:
        return f"p{self.partner.pk}" if self.partner else f"a{limiting_key(self.address)}"

    @property
    def requests_per_minute(self) -> int:
        if self.partner is None:
            return int(settings.RATE_PER_ADDRESS)
        return self.partner.requests_per_minute or int(settings.RATE_PER_PARTNER)

    @property
    def paid_messages_per_day(self) -> int:
        own = self.partner.paid_messages_per_day if self.partner else None
        return int(settings.PAID_MESSAGES_PER_DAY) if own is None else own


def count_request(caller: Caller) -> None:
    """Raises RateLimited."""
    _refuse_beyond(rates.hit_minute(f"req:{caller.key}", caller.requests_per_minute))


def count_anonymous_request(address: str) -> None:
    """Count a call of an address against RATE_PER_ADDRESS, before its body is decoded. Raises RateLimited."""
    count_request(Caller(None, address))


def give_back_anonymous_request(address: str) -> None:
    """Take that count back, for a call whose body held a good credential: it is then counted as its partner's."""
    caller = Caller(None, address)
    rates.give_back_minute(f"req:{caller.key}", caller.requests_per_minute)


def count_refused_credential(address: str) -> None:
    """Raises RateLimited."""
    allowed = max(1, int(settings.RATE_PER_ADDRESS) // REFUSED_SHARE)
    _refuse_beyond(rates.hit_minute(f"refused:a{limiting_key(address)}", allowed))


def reserve_paid_message(caller: Caller, via: str, *, at: datetime) -> Callable[[], None]:
    """Takes one of the day's paid messages; call what it returns to put it back. Raises RateLimited when none is left.

    Taken before the act and put back if that is refused, so that parallel requests cannot overshoot.
    """
    if via not in PAID_VIAS:
        return lambda: None
    key = f"paid:{via}:{caller.key}"

    def put_back() -> None:
        rates.add_today(key, -1, at=at)

    if rates.add_today(key, 1, at=at) > caller.paid_messages_per_day:
        put_back()
        log.warning("daily cap of paid messages reached", extra={"caller": caller.key, "via": via})
        raise RateLimited(rates.seconds_to_midnight(at))
    return put_back


def check_wrong_codes(caller: Caller, *, at: datetime) -> None:
    """Raises RateLimited once the caller's clients have typed too many wrong codes today."""
    if rates.count_today(f"wrong:{caller.key}", at=at) >= settings.WRONG_CODES_PER_DAY:
        raise RateLimited(rates.seconds_to_midnight(at))


def count_wrong_code(caller: Caller, *, at: datetime) -> None:
    """One guess on each of many clients is not held by the ladder; this holds it, and says so once a day."""
    if rates.add_today(f"wrong:{caller.key}", 1, at=at) == settings.WRONG_CODES_PER_DAY:
        log.error("daily limit of wrong codes reached: somebody may be guessing", extra={"caller": caller.key})


def _refuse_beyond(seconds: int) -> None:
    if seconds:
        raise RateLimited(seconds)
