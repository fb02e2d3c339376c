"""Limits of a caller: requests a minute, messages and wrong codes a day. What is over them is 429, at its place in
the order (docs/contracts/informaperu.md, Order of checks)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings

from clients.models import Partner
from clients.rate_limits import alarms, counters
from external_api.frontdoor.errors import RateLimited
from messaging import caps
from tokens.models import MAX_TRIES
from tokens.twins import rows

REFUSED_SHARE = 5
"""Rejected credentials may come at a fifth of an address's rate: guessing a key must be slower than using one."""


@dataclass(frozen=True)
class Caller:
    """Subject of a limit: the partner, or in open mode the address."""

    partner: Partner | None
    address_key: str
    """The address as limits count it (`clients.client_ip.limiting_key`)."""

    @cached_property
    def key(self) -> str:
        return caps.key_of_partner(self.partner.pk) if self.partner else f"a{self.address_key}"

    @property
    def is_twin(self) -> bool:
        return self.partner is not None and self.partner.is_twin

    @cached_property
    def requests_per_minute(self) -> int:
        if self.partner is None:
            return int(settings.RATE_PER_ADDRESS)
        return self.partner.requests_per_minute or int(settings.RATE_PER_PARTNER)


def count_request(caller: Caller) -> None:
    """Raises RateLimited."""
    seconds = counters.hit_minute(f"req:{caller.key}", caller.requests_per_minute)
    if seconds:
        raise RateLimited(seconds)


def headers(caller: Caller) -> dict[str, str]:
    """RateLimit-Policy, and RateLimit where what is left is known (draft-ietf-httpapi-ratelimit-headers-10).

    What is left is a hint: other processes count too.
    """
    allowed = caller.requests_per_minute
    found = {"RateLimit-Policy": f'"requests";q={allowed};w=60'}
    left = counters.left_of_minute(f"req:{caller.key}", allowed)
    if left is not None:
        found["RateLimit"] = f'"requests";r={left[0]};t={left[1]}'
    return found


def left(caller: Caller) -> int | None:
    """Requests left of the minute, as this process last learnt it; None: it does not know."""
    found = counters.left_of_minute(f"req:{caller.key}", caller.requests_per_minute)
    return found[0] if found else None


def give_back_request(caller: Caller) -> None:
    """Take back a count of an address, for a call that is counted as its partner's after all."""
    counters.give_back_minute(f"req:{caller.key}", caller.requests_per_minute)


def count_refused_credential(caller: Caller) -> None:
    """Raises RateLimited."""
    allowed = max(1, int(settings.RATE_PER_ADDRESS) // REFUSED_SHARE)
    seconds = counters.hit_minute(f"refused:a{caller.address_key}", allowed)
    if seconds:
        raise RateLimited(seconds)


def check_room(caller: Caller) -> None:
    """Raises TwinIsFull where the caller is a test twin that must be emptied before it takes more. Nothing for others,
    at no cost."""
    if caller.partner is not None and caller.is_twin:
        rows.check_room(caller.partner.pk)


def reserve_message(caller: Caller, via: str, *, at: datetime) -> Callable[[], None]:
    """Take one of the day's messages; the returned function puts it back. Raises RateLimited when none is left."""
    try:
        return caps.reserve(via, caller=caller.key, partner=caller.partner, at=at)
    except caps.CapReached as cap:
        raise RateLimited(cap.seconds) from None


def tries_allowed(caller: Caller, *, at: datetime) -> int:
    """Number of wrong tries that end a code of this caller now: one, once its clients have typed too many today.

    Right codes always pass: a limit on them would let anybody who types wrong codes lock out the others. Codes of a
    test twin are not counted: nobody guards anything with them.
    """
    if caller.is_twin:
        return MAX_TRIES
    wrong_key, verified_key = _code_keys(caller)
    wrong = counters.count_roughly(wrong_key, at=at)
    if wrong < int(settings.WRONG_CODES_PER_DAY):
        return MAX_TRIES
    verified = counters.counts_today([verified_key], at=at)[0]
    return 1 if wrong >= _wrong_codes_allowed(verified) else MAX_TRIES


def count_verified_code(caller: Caller, *, at: datetime) -> None:
    """Count a right code, at worst a few too low, so that it costs no call to Redis of its own."""
    if caller.is_twin:
        return
    counters.add_one_roughly(_code_keys(caller)[1], at=at, cap=int(settings.WRONG_CODES_PER_DAY))


def count_wrong_code(caller: Caller, *, at: datetime) -> None:
    """Count a wrong code: the ladder does not limit one guess on each of many clients. Alarms at most twice a day."""
    if caller.is_twin:
        return
    key, verified_key = _code_keys(caller)
    wrong = counters.add_today(key, 1, at=at, cap=int(settings.WRONG_CODES_PER_DAY))
    half = int(settings.WRONG_CODES_PER_DAY) // 2
    if wrong < half:
        return
    allowed = _wrong_codes_allowed(counters.counts_today([verified_key], at=at)[0])
    for text, share, threshold in (
        ("half of the daily limit of wrong codes reached", "half", allowed // 2),
        ("daily limit of wrong codes reached: somebody may be guessing", "limit", allowed),
    ):
        alarms.raise_once(text, f"{key}:{share}", count=wrong, threshold=max(1, threshold), at=at)


def _wrong_codes_allowed(verified: int) -> int:
    return max(int(settings.WRONG_CODES_PER_DAY), verified // 2)


def _code_keys(caller: Caller) -> tuple[str, str]:
    return f"wrong:{caller.key}", f"verified:{caller.key}"
