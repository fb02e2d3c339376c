"""Presenters of contract 2: parts of answers that more than one endpoint sends
(docs/contracts/informaperu.md, Answers)."""

import math
from datetime import datetime
from typing import Any

from django.conf import settings

from clients.local_time import LIMA
from clients.models import Applicant
from messaging.models import Via
from tokens.cooldown import CooldownState


def lima(moment: datetime) -> str:
    """ISO 8601 with its offset, whole seconds."""
    return moment.astimezone(LIMA).isoformat(timespec="seconds")


def cooldown_block(via: str, state: CooldownState, *, at: datetime, open_to_requests: bool = True) -> dict[str, Any]:
    """`data` of the cooldown query, and of the 429 for a request that came too early.

    `open_to_requests` is False for a client who can ask no more (validated or locked), whatever the ladder says.
    """
    remaining = math.ceil(state.remaining(at=at).total_seconds()) if open_to_requests else 0
    waiting = state.available_at is not None and remaining > 0
    return {
        "via": via,
        "can_request": open_to_requests and not waiting,
        "remaining_seconds": remaining,
        "attempts_24h": state.attempts_24h,
        "next_attempt": state.attempts_24h + 1,
        "available_at": lima(state.available_at) if waiting and state.available_at else None,
    }


def reuse_warning(via: str, before: Applicant) -> dict[str, str]:
    """The document's `warning`: the last person who proved this number (or mailbox), and the day."""
    day = before.validated_at.astimezone(LIMA).strftime("%d/%m/%Y") if before.validated_at else ""
    what = "Este correo" if via == Via.EMAIL else "Este número"
    return {"message": f"{what} ya fue validado el {day} por {_name(before)}", "code": "PHONE_REUSE_WARNING"}


def _name(applicant: Applicant) -> str:
    """First name and paternal surname in capitals; `PHONE_REUSE_NAMES=masked` leaves the first letters
    (docs/contracts/informaperu.md, Open points)."""
    names = [applicant.names.split(" ")[0].upper(), applicant.paternal_surname.upper()]
    if settings.PHONE_REUSE_NAMES == "masked":
        names = [name[0] + "***" for name in names]
    return " ".join(names)
