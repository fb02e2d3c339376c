"""What staff may do for a client who is held up: forgive the ladder, lift the lock. Dated, reasoned, audited."""

from datetime import datetime

from django.db import transaction

from clients.models import Applicant, audit
from tokens.models import LadderForgiveness, VerificationToken


def forgive(
    applicant: Applicant, via: str, *, by: str, reason: str, at: datetime, address: str | None = None
) -> LadderForgiveness:
    """Lets earlier requests of this client by `via`, and all to the last destination it used there, count no more."""
    last = VerificationToken.objects.filter(applicant=applicant, via=via).order_by("-created_at").first()
    with transaction.atomic():
        row = LadderForgiveness.objects.create(
            applicant=applicant, via=via, destination=last.destination if last else "", at=at, by=by, reason=reason
        )
        audit(applicant, "ladder.forgiven", at=at, by=by, reason=reason, address=address, via=via)
    return row


def unlock(applicant: Applicant, *, by: str, reason: str, at: datetime, address: str | None = None) -> bool:
    """Lifts the lock of 100 wrong codes; False when there was none."""
    with transaction.atomic():
        lifted = Applicant.objects.filter(pk=applicant.pk, locked_at__isnull=False).update(
            locked_at=None, wrong_codes_in_a_row=0
        )
        if lifted:
            audit(applicant, "applicant.unlocked", at=at, by=by, reason=reason, address=address)
    return bool(lifted)
