"""Test recipients that begin higher on the ladder."""

from datetime import datetime, timedelta

from clients.uuid7 import uuid7
from messaging.twins.recipients import rung_of
from tokens import codes
from tokens.cooldown import wait_before
from tokens.decisions import Snapshot
from tokens.models import CODE_LIFETIME, VerificationToken

LONGER_THAN_A_CODE = CODE_LIFETIME + timedelta(seconds=1)
"""A code of the applicant that is live is newer than what is written here, and so stays the latest."""


def open_at_rung(found: Snapshot, via: str, *, twin: int, at: datetime) -> bool:
    """Where a recipient begins at a higher rung and nothing was asked for it yet, write the requests before that rung:
    codes that nobody answered, of the same applicant, whose wait ends now. Returns whether any was written.

    Part of a request, whose locks the caller holds. What is asked next is decided as ever, over these rows.
    """
    rung = rung_of(found.destination)
    was_asked_for = any(not of_client for of_client, _, _ in found.requests)
    if rung is None or rung == 1 or was_asked_for:
        return False
    asked_at = at - max(wait_before(rung), LONGER_THAN_A_CODE)
    VerificationToken.objects.bulk_create(
        [_unanswered(found, via, number, twin=twin, asked_at=asked_at) for number in range(1, rung)]
    )
    return True


def _unanswered(found: Snapshot, via: str, number: int, *, twin: int, asked_at: datetime) -> VerificationToken:
    token_id, wait = uuid7(), wait_before(number + 1)
    return VerificationToken(
        id=token_id,
        applicant_id=found.person.id,
        twin_id=twin,
        via=via,
        destination=found.destination,
        code_hmac=codes.digest(token_id, codes.generate()),
        created_at=asked_at,
        expires_at=asked_at + CODE_LIFETIME,
        outcome=VerificationToken.Outcome.NO_ANSWER,
        finished_at=asked_at + CODE_LIFETIME,
        client_attempt=number,
        client_wait=wait,
        destination_attempt=number,
        destination_wait=wait,
    )
