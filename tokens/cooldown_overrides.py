"""What staff may do for a client who is held up: forgive the ladder, lift the lock. Dated, reasoned, audited."""

from datetime import datetime

from django.db import transaction

from clients.local_time import midnight_before
from clients.models import Applicant, audit
from messaging.models import Via
from tokens import destinations
from tokens.models import LadderForgiveness, VerificationToken

FORGIVEN_A_DAY = 3
"""Of one destination in a Lima day, by whoever may not forgive often: each lets another message out, which costs."""
OFTEN = "tokens.forgive_often"
"""The permission to go beyond that."""


class ForgivenOften(Exception):
    """The destination was forgiven FORGIVEN_A_DAY times today, and the agent may not do so again."""


def forgive(
    applicant: Applicant,
    via: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    address: str | None = None,
    often: bool = False,
) -> LadderForgiveness:
    """Lets earlier requests of this client by `via`, and all to the last destination it used there, count no more.

    Raises ForgivenOften, unless `often` says that whoever acts may go beyond three a day.
    """
    last = VerificationToken.objects.filter(applicant=applicant, via=via).order_by("-created_at").first()
    destination = last.destination if last else ""
    with transaction.atomic():
        if destination and not often:
            destinations.lock("forgive", destination)  # of two agents at once the second sees the first
            if _forgiven_today(via, destination, at=at) >= FORGIVEN_A_DAY:
                raise ForgivenOften
        row = LadderForgiveness.objects.create(
            applicant=applicant, via=via, destination=destination, at=at, by=by, reason=reason
        )
        audit(applicant, "ladder.forgiven", at=at, by=by, reason=reason, address=address, via=via)
    return row


def _forgiven_today(via: str, destination: str, *, at: datetime) -> int:
    """Over all vias to a telephone, and all spellings of a mailbox."""
    midnight = midnight_before(at)
    today = LadderForgiveness.objects.filter(at__gte=midnight)
    if via == Via.EMAIL:
        return today.alias(key=destinations.key_of()).filter(via=via, key=destinations.key_of_text(destination)).count()
    return today.filter(destination=destination).count()


def unlock(applicant: Applicant, *, by: str, reason: str, at: datetime, address: str | None = None) -> bool:
    """Lifts the lock of 100 wrong codes; False when there was none."""
    with transaction.atomic():
        lifted = Applicant.objects.filter(pk=applicant.pk, locked_at__isnull=False).update(
            locked_at=None, wrong_codes_in_a_row=0
        )
        if lifted:
            audit(applicant, "applicant.unlocked", at=at, by=by, reason=reason, address=address)
    return bool(lifted)
