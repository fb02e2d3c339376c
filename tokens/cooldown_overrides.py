"""Overrides of the cooldown by staff: forgive a ladder, lift a lock. Each has a date and a reason, and is audited."""

from datetime import datetime

from django.db import transaction

from clients.errors import ApplicantAlreadyValidated, ApplicantLocked
from clients.local_time import midnight_before
from clients.models import Applicant, audit
from messaging.models import Via
from tokens import destinations
from tokens.models import LadderForgiveness, VerificationToken

MAX_FORGIVEN_A_DAY = 3
"""Per destination and Lima day, without the permission below: each lets another message out, which costs."""
FORGIVE_OFTEN = "tokens.forgive_often"
"""Permission to forgive one destination more often than that."""


class ForgivenTooOften(Exception):
    """The destination was forgiven MAX_FORGIVEN_A_DAY times today, and the agent may not go beyond that."""


def forgive(
    applicant: Applicant,
    via: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    address: str | None = None,
    may_exceed: bool = False,
) -> LadderForgiveness:
    """Stop counting the earlier requests of this client by `via`, and all to the last destination used there.

    Raises ApplicantAlreadyValidated or ApplicantLocked: they get no code, with or without a wait. Raises
    ForgivenTooOften, unless `may_exceed`: the agent may go beyond MAX_FORGIVEN_A_DAY.
    """
    last = VerificationToken.objects.filter(applicant=applicant, via=via).order_by("-created_at").first()
    destination, twin = (last.destination, last.twin_id) if last else ("", None)
    with transaction.atomic():
        person = Applicant.objects.select_for_update(no_key=True).get(pk=applicant.pk)
        if person.is_validated:
            raise ApplicantAlreadyValidated
        if person.locked_at is not None:
            raise ApplicantLocked
        if destination and not may_exceed:
            destinations.lock(
                "forgive", destination, twin
            )  # of two agents in parallel the second sees the first one's row
            if _forgiven_today(via, destination, twin, at=at) >= MAX_FORGIVEN_A_DAY:
                raise ForgivenTooOften
        row = LadderForgiveness.objects.create(
            applicant=applicant, twin_id=twin, via=via, destination=destination, at=at, by=by, reason=reason
        )
        audit(applicant, "ladder.forgiven", at=at, by=by, reason=reason, address=address, via=via)
    return row


def _forgiven_today(via: str, destination: str, twin: int | None, *, at: datetime) -> int:
    """Count over all vias of a telephone, and over all spellings of a mailbox; for a test twin its own alone."""
    midnight = midnight_before(at)
    today = LadderForgiveness.objects.filter(at__gte=midnight, twin=twin)
    if via == Via.EMAIL and twin is None:
        return today.alias(key=destinations.key_of()).filter(via=via, key=destinations.key_of_text(destination)).count()
    return today.filter(destination=destination).count()


def unlock(applicant: Applicant, *, by: str, reason: str, at: datetime, address: str | None = None) -> bool:
    """Lift the lock of 100 wrong codes; return False when there was none."""
    with transaction.atomic():
        lifted = Applicant.objects.filter(pk=applicant.pk, locked_at__isnull=False).update(
            locked_at=None, wrong_codes_in_a_row=0
        )
        if lifted:
            audit(applicant, "applicant.unlocked", at=at, by=by, reason=reason, address=address)
    return bool(lifted)
