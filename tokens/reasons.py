"""Why a code was not verified, as a word of the closed list of `messaging.reasons`."""

from datetime import datetime

from messaging.models import Message
from messaging.reasons import Reason, expression, of_message
from tokens.models import CodeTry, VerificationToken

Outcome = VerificationToken.Outcome
S = Message.State

_BY_OUTCOME = {
    Outcome.FAILED: Reason.WRONG,
    Outcome.EXPIRED: Reason.WRONG,
    Outcome.CANCELLED: Reason.CANCELLED,
    Outcome.REPLACED: Reason.CANCELLED,
}
"""Outcomes whose reason does not depend on the message."""
_BY_MESSAGE = {
    S.SENT: Reason.NOT_ENTERED,
    S.DELIVERED: Reason.NOT_ENTERED,
    S.QUEUED: Reason.STUCK,
    S.SENDING: Reason.STUCK,
}
"""Of a code that ended by itself, where its latest message has no reason of its own."""


def of_code(token: VerificationToken, *, at: datetime) -> Reason | None:
    """Why a code was not verified. None: it was, or it still may be."""
    if token.outcome == Outcome.VALIDATED or (token.outcome == Outcome.PENDING and not token.is_expired(at=at)):
        return None
    if CodeTry.objects.filter(token=token, result=CodeTry.Result.LATE).exists():
        return Reason.LATE
    outcome = Outcome(token.closing_outcome() if token.outcome == Outcome.PENDING else token.outcome)
    return _BY_OUTCOME.get(outcome) or _of_latest_message(token)


def _of_latest_message(token: VerificationToken) -> Reason:
    messages = Message.objects.filter(reference=token.pk).order_by("-created_at", "-id")
    latest = messages.values_list("state", "provider_reply").first()
    if latest is None:
        return Reason.STUCK
    return of_message(*latest) or _BY_MESSAGE[S(latest[0])]


def of_ended(outcome: str, token_id: str) -> str:
    """SQL expression for the reason of a code that ended with this outcome; the arguments are SQL, too.

    It reads the code's latest message only for the outcomes that depend on it. A code that has just ended was not
    typed late yet.
    """
    by_outcome = " ".join(f"WHEN '{each}' THEN '{reason}'" for each, reason in _BY_OUTCOME.items())
    by_message = " ".join(f"WHEN '{each}' THEN '{reason}'" for each, reason in _BY_MESSAGE.items())
    return f"""CASE {outcome} {by_outcome} ELSE coalesce((
            SELECT coalesce({expression("state", "provider_reply")}, CASE state {by_message} END)
            FROM messaging_message WHERE reference = {token_id} ORDER BY created_at DESC, id DESC LIMIT 1
        ), '{Reason.STUCK}') END"""  # noqa: S608  this module's constants
