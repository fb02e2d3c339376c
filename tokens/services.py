"""Operations on codes: register, request, verify, cancel, expire.

Each takes the time from its caller (`at`), takes its locks in one order (applicant, destination, token, message) and
decides inside the transaction. An error is raised after the commit, so that what it counted is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When

from clients.errors import ApplicantAlreadyValidated, ApplicantLocked, ApplicantNotFound, Refused
from clients.models import Applicant, Credential, Partner
from messaging.delivery import receipts
from messaging.models import Message, Via
from messaging.queue import channel_fallback, outbox
from tokens import channel_fallback as fallback
from tokens import codes, cooldown_queries, sql, texts
from tokens.cooldown import CooldownState, wait_before
from tokens.errors import (
    CooldownActive,
    NoPendingToken,
    TokenExpired,
    TokenStillActive,
    TriesUsedUp,
    ViaNotAvailable,
    WrongCode,
)
from tokens.models import CODE_LIFETIME, GRACE, MAX_TRIES, CodeTry, VerificationToken

LOCK_AFTER = 100
"""Wrong codes in a row over all of an applicant's tokens (NIST SP 800-63B, 5.2.2)."""
MIN_TIME_LEFT = timedelta(seconds=20)
"""A code that would reach its client with less than this left is not sent: it could not be typed in time."""

MAX_LATE_TRIES = 5
"""Per code: enough to tell a client why, and no way to fill a table."""

Outcome = VerificationToken.Outcome
_LATE = (CodeTry.Result.LATE, CodeTry.Result.LATE_WRONG)


@dataclass(frozen=True)
class Origin:
    """The caller: the partner whose clients the call may touch (None: those registered without a credential)."""

    partner: Partner | None = None
    credential: Credential | None = None
    request_id: int | None = None

    @property
    def partner_id(self) -> int | None:
        return self.partner.pk if self.partner else None


@dataclass(frozen=True)
class Requested:
    """A code that was enqueued, and the last other applicant of the same group who proved its destination."""

    token: VerificationToken
    proved_before_by: Applicant | None


def register(data: Mapping[str, str], *, origin: Origin, at: datetime) -> Applicant:
    """Create the applicant, or replace the data of the same person while nothing is proved yet.

    A changed mailbox ends a live code that went to the old one. Raises ApplicantAlreadyValidated.
    """
    person = {"document_type": data["document_type"], "document_number": data["document_number"]}
    with transaction.atomic():
        applicant, created = Applicant.objects.select_for_update(no_key=True).get_or_create(
            partner=origin.partner, **person, defaults={**data, "created_at": at, "updated_at": at}
        )
        if not created and not applicant.is_validated:
            old_email = applicant.email
            Applicant.objects.filter(pk=applicant.pk).update(**data, updated_at=at)
            if old_email != data["email"]:
                live = _latest(applicant)
                if live is not None and live.destination == old_email:
                    _end(live, Outcome.CANCELLED, at=at)
    if applicant.is_validated:
        raise ApplicantAlreadyValidated
    return applicant


def request(
    applicant_id: UUID, *, via: str, phone: str = "", operator: str = "", origin: Origin, at: datetime
) -> Requested:
    """Send a new code by `via` to `phone`, or to the applicant's mailbox for C, and end the live one.

    Raises ApplicantNotFound, ApplicantLocked, ApplicantAlreadyValidated, ViaNotAvailable, CooldownActive.
    """
    if not settings.AVAL_GATEWAYS[via]:
        raise ViaNotAvailable
    with transaction.atomic():
        found = sql.lock_and_read(applicant_id, origin.partner_id, via, phone, at=at)
        if found is None:
            raise ApplicantNotFound
        if found.applicant.is_validated:
            raise ApplicantAlreadyValidated
        if found.applicant.locked_at is not None:
            raise ApplicantLocked
        at = found.ladders.at
        if found.ladders.applying.available_at is not None:
            raise CooldownActive(found.ladders.seen_by_partner, via=via, at=at)
        _end(found.latest, Outcome.REPLACED, at=at)
        token = _issue(found, via, operator, origin=origin, at=at)
    proved = found.proved_before_by
    return Requested(token, Applicant.objects.filter(pk=proved).first() if proved else None)


def verify(
    applicant_id: UUID, typed: str, *, tries: int = MAX_TRIES, origin: Origin, at: datetime
) -> VerificationToken:
    """Compare the typed text with the applicant's latest code. A wrong one is counted before it is answered, and number
    `tries` ends the code.

    Raises ApplicantNotFound, ApplicantLocked, NoPendingToken, TokenExpired, WrongCode, TriesUsedUp.
    """
    with transaction.atomic():
        found = sql.lock_and_read_latest(applicant_id, origin.partner_id)
        if found is None:
            raise ApplicantNotFound
        result = _check_code(*found, typed, tries=tries, at=at)
    if isinstance(result, Refused):
        raise result
    return result


def cancel(applicant_id: UUID, *, origin: Origin, at: datetime) -> None:
    """End the live code. Its rung stays taken, and its message is not sent if it has not been sent yet.

    Raises ApplicantNotFound, NoPendingToken.
    """
    with transaction.atomic():
        applicant = _lock(applicant_id, origin)
        token = _latest(applicant)
        if token is None or token.outcome != Outcome.PENDING or token.is_expired(at=at):
            raise NoPendingToken
        _end(token, Outcome.CANCELLED, at=at)


def withdraw(applicant: Applicant, *, at: datetime) -> None:
    """End the live code, if any, of an applicant whose row the caller has locked."""
    _end(_latest(applicant), Outcome.CANCELLED, at=at)


def expire(applicant_id: UUID, *, origin: Origin, at: datetime) -> str:
    """Close a code whose time is up and return its outcome, EXPIRADO or SIN_RESPUESTA.

    Idempotent. In the last seconds (GRACE) the call is accepted, and the sweep closes the code when its time is over,
    not before. Raises ApplicantNotFound, NoPendingToken, TokenStillActive.
    """
    with transaction.atomic():
        applicant = _lock(applicant_id, origin)
        token = _latest(applicant)
        if token is not None and token.outcome in (Outcome.EXPIRED, Outcome.NO_ANSWER):
            return str(token.outcome)
        if token is None or token.outcome != Outcome.PENDING:
            raise NoPendingToken
        if at < token.expires_at - GRACE:
            raise TokenStillActive
        if token.is_expired(at=at):
            _end(token, token.closing_outcome(), at=at)
        return str(token.closing_outcome())


def cooldown(applicant_id: UUID, via: str, *, origin: Origin, at: datetime) -> tuple[Applicant, CooldownState]:
    """State of the ladder that applies to the applicant's next request by `via`, to the last destination used on it.

    Changes nothing. Raises ApplicantNotFound.
    """
    applicant = Applicant.objects.filter(pk=applicant_id, partner=origin.partner).first()
    if applicant is None:
        raise ApplicantNotFound
    destination = _last_destination(applicant, via)
    return applicant, cooldown_queries.read(applicant.pk, via, destination, at=at).seen_by_partner


def _lock(applicant_id: UUID, origin: Origin) -> Applicant:
    """Lock the applicant: one act at a time on their codes, whatever the number of servers."""
    try:
        return Applicant.objects.select_for_update(no_key=True).get(pk=applicant_id, partner=origin.partner)
    except Applicant.DoesNotExist:
        raise ApplicantNotFound from None


def _latest(applicant: Applicant) -> VerificationToken | None:
    return VerificationToken.objects.filter(applicant=applicant).order_by("-created_at").first()


def _last_destination(applicant: Applicant, via: str) -> str:
    last = (
        VerificationToken.objects.filter(applicant=applicant, via=via)
        .order_by("-created_at")
        .values_list("destination", flat=True)
        .first()
    )
    return last or (applicant.email if via == Via.EMAIL else "")


def _issue(found: sql.Snapshot, via: str, operator: str, *, origin: Origin, at: datetime) -> VerificationToken:
    token_id, code = uuid4(), codes.generate()
    client_attempt = found.ladders.client.attempts_24h + 1
    destination_attempt = found.ladders.destination.attempts_24h + 1
    token = VerificationToken(
        id=token_id,
        applicant_id=found.applicant.pk,
        via=via,
        destination=found.destination,
        operator=operator,
        code_hmac=codes.digest(token_id, code),
        created_at=at,
        expires_at=at + CODE_LIFETIME,
        client_attempt=client_attempt,
        client_wait=wait_before(client_attempt + 1),
        destination_attempt=destination_attempt,
        destination_wait=wait_before(destination_attempt + 1),
    )
    text = texts.compose(via)
    message = outbox.fields(
        kind=Message.Kind.VERIFICATION,
        via=via,
        recipient=found.destination,
        subject=text.subject,
        text=text.text,
        html=text.html,
        secret=code,
        reference=token_id,
        send_before=token.expires_at - MIN_TIME_LEFT,
        keep_secret=fallback.next_via(via) is not None,
        partner=origin.partner,
        credential=origin.credential,
        request_id=origin.request_id,
        at=at,
    )
    sql.insert_token_and_message(token, message)
    outbox.wake_after_commit(Message.Kind.VERIFICATION)
    return token


def _check_code(
    applicant: Applicant, token: VerificationToken | None, typed: str, *, tries: int, at: datetime
) -> VerificationToken | Refused:
    if applicant.locked_at is not None:
        return ApplicantLocked()
    if token is None:
        return NoPendingToken()
    if token.outcome in (Outcome.EXPIRED, Outcome.NO_ANSWER):
        return _record_late_try(token, typed, at=at)
    if token.outcome != Outcome.PENDING:
        return NoPendingToken()
    if token.is_expired(at=at):
        return _record_late_try(token, typed, at=at)
    if codes.matches(token.pk, bytes(token.code_hmac), typed):
        return _accept(token, at=at)
    return _count_wrong(applicant, token, tries=tries, at=at)


def _record_late_try(token: VerificationToken, typed: str, *, at: datetime) -> Refused:
    """Store a late try, up to MAX_LATE_TRIES. The answer is the same for a right code; the row notes it."""
    if CodeTry.objects.filter(token=token, result__in=_LATE).count() < MAX_LATE_TRIES:
        right = codes.matches(token.pk, bytes(token.code_hmac), typed)
        CodeTry.objects.create(token=token, at=at, result=_LATE[0] if right else _LATE[1])
        if right:
            receipts.confirm_by_code(token.pk, at=at)
    return TokenExpired()


def _accept(token: VerificationToken, *, at: datetime) -> VerificationToken | Refused:
    states = sql.accept(token.pk, at=at)
    if states is None:
        return NoPendingToken()
    if states & {Message.State.QUEUED, Message.State.SENDING} or channel_fallback.is_enabled():
        outbox.cancel([token.pk], at=at, detail="el código ya fue validado")
    if states & {Message.State.UNDELIVERED, Message.State.UNKNOWN}:
        receipts.confirm_by_code(token.pk, at=at)
    token.outcome = Outcome.VALIDATED
    return token


def _count_wrong(applicant: Applicant, token: VerificationToken, *, tries: int, at: datetime) -> Refused:
    """Count a wrong try in one conditional UPDATE: of any number of tries at once exactly five are compared."""
    is_last = When(wrong_tries__gte=tries - 1, then=Value(Outcome.FAILED))
    counted = VerificationToken.objects.filter(pk=token.pk, outcome=Outcome.PENDING, wrong_tries__lt=MAX_TRIES).update(
        wrong_tries=F("wrong_tries") + 1,
        outcome=Case(is_last, default=F("outcome")),
        finished_at=Case(When(wrong_tries__gte=tries - 1, then=Value(at)), default=F("finished_at")),
    )
    if not counted:
        return NoPendingToken()
    CodeTry.objects.create(token=token, at=at, result=CodeTry.Result.WRONG)
    in_a_row = applicant.wrong_codes_in_a_row + 1
    Applicant.objects.filter(pk=applicant.pk).update(
        wrong_codes_in_a_row=F("wrong_codes_in_a_row") + 1, locked_at=at if in_a_row >= LOCK_AFTER else None
    )
    remaining = tries - (token.wrong_tries + 1)
    if remaining > 0:
        return WrongCode(remaining)
    outbox.cancel([token.pk], at=at, detail="se agotaron los intentos")
    return TriesUsedUp()


def _end(token: VerificationToken | None, outcome: str, *, at: datetime) -> None:
    """End a code that is still live and cancel its message; one whose time is up gets the outcome of that."""
    if token is None or token.outcome != Outcome.PENDING:
        return
    ended = token.closing_outcome() if token.is_expired(at=at) else outcome
    live = VerificationToken.objects.filter(pk=token.pk, outcome=Outcome.PENDING)
    if live.update(outcome=ended, finished_at=at):
        outbox.cancel([token.pk], at=at, detail=f"código {ended}")
