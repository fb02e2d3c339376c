"""Daily caps on messages: paid ones per caller and via and for the whole installation, codes by mail per caller.

A message is counted before the request and uncounted if that is refused, so that parallel requests cannot exceed the
cap. Never call it inside a transaction (`clients.rate_limits.counters`).
"""

import logging
from collections.abc import Callable
from datetime import datetime

from django.conf import settings

from clients.models import Partner
from clients.rate_limits import alarms, counters
from messaging.models import Via

log = logging.getLogger(__name__)

_TOTAL = "paid:total"
ALARM_SHARE = 0.8
"""Share of the installation's cap that raises an alarm, early enough to raise the cap before a request is refused."""


class CapReached(Exception):
    """The cap of the day is used up. `seconds`: until midnight in Lima."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


def key_of_partner(partner_id: int) -> str:
    return f"p{partner_id}"


def reserve(via: str, *, caller: str, partner: Partner | None, at: datetime) -> Callable[[], None]:
    """Count one message of a caller. Returns a function that uncounts it. Raises CapReached.

    A test twin's are not counted: nobody is paid for them.
    """
    if partner is not None and partner.is_twin:
        return lambda: None
    caps = _caps(via, caller, partner)

    def put_back() -> None:
        counters.give_back_today(caps, at=at)

    counts = counters.reserve_today(caps, at=at)
    over = [key for key, cap in caps.items() if counts[key] > cap]
    if over:
        put_back()
        whole = _TOTAL in over
        log.log(
            logging.ERROR if whole else logging.WARNING,
            "daily cap of the installation reached" if whole else "daily cap of messages reached",
            extra={"caller": caller, "via": via},
        )
        raise CapReached(counters.seconds_to_midnight(at))
    if _TOTAL in counts:
        alarms.raise_once(
            "paid messages of the installation near their daily cap",
            _TOTAL,
            count=counts[_TOTAL],
            threshold=int(caps[_TOTAL] * ALARM_SHARE),
            at=at,
        )
    return put_back


def left_today(via: str, *, caller: str, partner: Partner | None, at: datetime) -> tuple[int, int]:
    """The caller's own cap on messages of the day by this via, and what is left of it."""
    key, cap = next(iter(_caps(via, caller, partner).items()))
    return cap, max(0, cap - counters.counts_today([key], at=at)[0])


def _caps(via: str, caller: str, partner: Partner | None) -> dict[str, int]:
    if via == Via.EMAIL:
        return {f"mail:{caller}": int(settings.MAIL_CODES_PER_DAY)}
    own = partner.paid_messages_per_day if partner else None
    cap = int(settings.PAID_MESSAGES_PER_DAY) if own is None else own
    return {f"paid:{via}:{caller}": cap, _TOTAL: int(settings.PAID_MESSAGES_PER_DAY_TOTAL)}
