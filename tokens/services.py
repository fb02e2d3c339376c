"""Operations on codes: register, request, verify, cancel, expire.

Each takes the time from its caller (`at`), takes its locks in one order (applicant, destination, token, message) and
decides inside the transaction, by `tokens.decisions`. An error is raised after the commit, so that what it counted is
stored.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When

from clients.credentials import Known
from clients.errors import ApplicantAlreadyValidated, ApplicantNotFound, Refused
from clients.events.models import EventType
from clients.events.writing import write_event
from clients.models import Applicant, Credential, Partner
from clients.uuid7 import uuid7
from messaging.delivery import receipts
from messaging.masking import masked
from messaging.models import Message, Via
from messaging.queue import channel_fallback, outbox
from messaging.reasons import Reason
from messaging.suppression import listing
from messaging.twins import recipients
from tokens import channel_fallback as fallback
from tokens import codes, cooldown_queries, decisions, sql, texts
from tokens.cooldown import CooldownState
from tokens.errors import NoPendingToken, TokenExpired, TokenStillActive, TriesUsedUp, ViaNotAvailable, WrongCode
from tokens.models import CODE_LIFETIME, GRACE, MAX_TRIES, CodeTry, VerificationToken
from tokens.twins import opening

MIN_TIME_LEFT = timedelta(seconds=20)
"""A code that would reach its client with less than this left is not sent: it could not be typed in time."""

MAX_LATE_TRIES = 5
"""Per code: enough to tell a client why, and no way to fill a table."""

Outcome = VerificationToken.Outcome
_LATE = (CodeTry.Result.LATE, CodeTry.Result.LATE_WRONG)


@dataclass(frozen=True)
class Origin:
    """The caller: the partner whose clients the call may touch (None: those registered without a credential).

    `known`: what a request or a verification compares with the database before it changes anything, because the caller
    was authenticated from memory (`clients.credentials.known`). `row`: row of the request log that they write with
    their own changes if they succeed. The message of a code then carries the row's id instead of `request_id`.
    """

    partner: Partner | None = None
    credential: Credential | None = None
    request_id: int | None = None
    row: sql.RequestRow | None = None
    known: Known | None = None

    @property
    def partner_id(self) -> int | None:
        return self.partner.pk if self.partner else None

    @property
    def twin_id(self) -> int | None:
        """The partner, where it is a test twin."""
        return self.partner_id if self.partner and self.partner.is_twin else None


@dataclass(frozen=True)
class Requested:
    """A code that was enqueued, and the last other applicant of the same group who proved its destination."""

    token_id: UUID
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
                    _end_if_live(live, Outcome.CANCELLED, at=at)
    if applicant.is_validated:
        raise ApplicantAlreadyValidated
    return applicant


def request(
    applicant_id: UUID, *, via: str, phone: str = "", operator: str = "", origin: Origin, at: datetime
) -> Requested:
    """Send a new code by `via` to `phone`, or to the applicant's mailbox for C, and end the live one.

    Raises ApplicantNotFound, ApplicantLocked, ApplicantAlreadyValidated, ViaNotAvailable, CooldownActive,
    CredentialChanged.
    """
    if not settings.AVAL_GATEWAYS[via]:
        raise ViaNotAvailable
    with transaction.atomic():
        found = _lock_and_read(applicant_id, via, phone, origin=origin, at=at)
        if found is None:
            raise ApplicantNotFound
        new = decisions.request(found, via, at=at)
        if found.latest is not None and new.ends_latest_as:
            _end(found.latest.id, new.ends_latest_as, at=new.at)
        proved = found.proved_before_by
        proved_before_by = Applicant.objects.filter(pk=proved).first() if proved else None
        token_id = _issue(found, new, via, operator, origin=origin)
    return Requested(token_id, proved_before_by)


def verify(applicant_id: UUID, typed: str, *, tries: int = MAX_TRIES, origin: Origin, at: datetime) -> None:
    """Compare the typed text with the applicant's latest code. A wrong one is counted before it is answered, and number
    `tries` ends the code.

    Raises ApplicantNotFound, ApplicantLocked, NoPendingToken, TokenExpired, WrongCode, TriesUsedUp, CredentialChanged.
    """
    with transaction.atomic():
        found = sql.lock_and_read_latest(applicant_id, origin.partner_id, known=origin.known)
        if found is None:
            raise ApplicantNotFound
        refused = _check_code(found, typed, tries=tries, origin=origin, at=at)
    if refused is not None:
        raise refused


def cancel(applicant_id: UUID, *, origin: Origin, at: datetime) -> None:
    """End the live code. Its rung stays taken, and its message is not sent if it has not been sent yet.

    Raises ApplicantNotFound, NoPendingToken.
    """
    with transaction.atomic():
        applicant = _lock(applicant_id, origin)
        token = _latest(applicant)
        if token is None or token.outcome != Outcome.PENDING or token.is_expired(at=at):
            raise NoPendingToken
        _end(token.pk, Outcome.CANCELLED, at=at)


def withdraw(applicant: Applicant, *, at: datetime) -> None:
    """End the live code, if any, of an applicant whose row the caller has locked."""
    _end_if_live(_latest(applicant), Outcome.CANCELLED, at=at)


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
            _end(token.pk, token.closing_outcome(), at=at)
        return str(token.closing_outcome())


def cooldown(applicant_id: UUID, via: str, *, origin: Origin, at: datetime) -> tuple[Applicant, CooldownState]:
    """State of the ladder that applies to the applicant's next request by `via`, to the last destination used on it.

    Changes nothing. Raises ApplicantNotFound.
    """
    applicant = Applicant.objects.filter(pk=applicant_id, partner=origin.partner).first()
    if applicant is None:
        raise ApplicantNotFound
    destination = _last_destination(applicant, via)
    return applicant, cooldown_queries.read(applicant.pk, via, destination, twin=origin.twin_id, at=at).seen_by_partner


def _lock_and_read(
    applicant_id: UUID, via: str, phone: str, *, origin: Origin, at: datetime
) -> decisions.Snapshot | None:
    """Lock and read what decides about a request. The first one of a test twin to some recipients finds earlier ones
    on its ladder."""
    is_twin = origin.twin_id is not None
    read = partial(sql.lock_and_read, applicant_id, origin.partner_id, via, phone, is_twin=is_twin, at=at)
    found = read(known=origin.known)
    if (
        found is not None
        and origin.twin_id is not None
        and opening.open_at_rung(found, via, twin=origin.twin_id, at=at)
    ):
        return read()
    return found


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


def _issue(found: decisions.Snapshot, new: decisions.NewCode, via: str, operator: str, *, origin: Origin) -> UUID:
    token_id, code = uuid7(), _new_code(found.destination, origin)
    token = sql.IssuedCode(
        id=token_id,
        applicant_id=found.person.id,
        twin_id=origin.twin_id,
        via=via,
        destination=found.destination,
        operator=operator,
        code_hmac=codes.digest(token_id, code),
        created_at=new.at,
        expires_at=new.at + CODE_LIFETIME,
        client_attempt=new.client_attempt,
        client_wait=new.client_wait,
        destination_attempt=new.destination_attempt,
        destination_wait=new.destination_wait,
    )
    text = texts.compose(via, origin.partner)
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
        keep_secret=fallback.next_via(via, origin.partner, found.destination) is not None,
        partner=origin.partner,
        credential=origin.credential,
        request_id=origin.request_id,
        at=new.at,
    )
    sql.insert_token_and_message(token, message, origin.row)
    outbox.wake_after_commit(Message.Kind.VERIFICATION)
    return token_id


def _new_code(destination: str, origin: Origin) -> str:
    """A random code; for some recipients of a test twin the one that its tests know."""
    known = recipients.code_for(destination) if origin.twin_id is not None else None
    return known or codes.generate()


def _check_code(found: sql.Latest, typed: str, *, tries: int, origin: Origin, at: datetime) -> Refused | None:
    """Compare and write. Returns the error of a try that was counted; raises the one of a try that changed nothing."""
    code = found.code
    late = decisions.is_late(found.person, code, at=at)
    assert code is not None, "no code is neither late nor in time"  # noqa: S101  narrows the type
    right = codes.matches(code.id, code.code_hmac, typed)
    if late:
        return _record_late_try(code, right=right, at=at)
    if right:
        _accept(code, found.states, origin=origin, at=at)
        return None
    return _count_wrong(found.person, code, tries=tries, at=at)


def _record_late_try(code: decisions.Code, *, right: bool, at: datetime) -> Refused:
    """Store a late try, up to MAX_LATE_TRIES. The answer is the same for a right code; the row notes it."""
    if CodeTry.objects.filter(token=code.id, result__in=_LATE).count() < MAX_LATE_TRIES:
        CodeTry.objects.create(token_id=code.id, at=at, result=_LATE[0] if right else _LATE[1])
        if right:
            receipts.confirm_by_code(code.id, at=at)
    return TokenExpired()


def _accept(code: decisions.Code, states: Set[str], *, origin: Origin, at: datetime) -> None:
    """Accept a code that is locked and live, whose messages are in these states."""
    sql.mark_accepted(code.id, origin.row, at=at)
    if states & {Message.State.QUEUED, Message.State.SENDING} or channel_fallback.is_enabled():
        outbox.cancel_with_commit([code.id], at=at, detail="el código ya fue validado")
    if states & {Message.State.UNDELIVERED, Message.State.UNKNOWN}:
        receipts.confirm_by_code(code.id, at=at)
    if code.via == Via.EMAIL:
        listing.lift_for_code(code.destination, twin=origin.twin_id, at=at)


def _count_wrong(person: decisions.Person, code: decisions.Code, *, tries: int, at: datetime) -> Refused:
    """Count a wrong try in one conditional UPDATE: of any number of tries at once exactly five are compared."""
    is_last = When(wrong_tries__gte=tries - 1, then=Value(Outcome.FAILED))
    counted = VerificationToken.objects.filter(pk=code.id, outcome=Outcome.PENDING, wrong_tries__lt=MAX_TRIES).update(
        wrong_tries=F("wrong_tries") + 1,
        outcome=Case(is_last, default=F("outcome")),
        finished_at=Case(When(wrong_tries__gte=tries - 1, then=Value(at)), default=F("finished_at")),
    )
    if not counted:
        return NoPendingToken()
    CodeTry.objects.create(token_id=code.id, at=at, result=CodeTry.Result.WRONG)
    decided = decisions.wrong_try(person, code, tries=tries)
    Applicant.objects.filter(pk=person.id).update(
        wrong_codes_in_a_row=F("wrong_codes_in_a_row") + 1, locked_at=at if decided.locks_applicant else None
    )
    _write_events_of_wrong_try(person, code, decided, at=at)
    if decided.remaining > 0:
        return WrongCode(decided.remaining)
    outbox.cancel([code.id], at=at, detail="se agotaron los intentos")
    return TriesUsedUp()


def _write_events_of_wrong_try(
    person: decisions.Person, code: decisions.Code, decided: decisions.WrongTry, *, at: datetime
) -> None:
    """Write the events of a wrong try: of one that ended the code, and of one that locked the client."""
    if decided.remaining <= 0:
        about = {"client_id": str(person.id), "via": code.via, "to": masked(code.via, code.destination)}
        ended = {"outcome": Outcome.FAILED.value, "reason": Reason.WRONG.value}
        failed = EventType.VERIFICATION_FAILED
        write_event(person.partner_id, failed, code.id, about | ended, at=at)
    if decided.locks_applicant:
        client = {"client_id": str(person.id)}
        write_event(person.partner_id, EventType.VERIFICATION_LOCKED, code.id, client, at=at)


def _end_if_live(token: VerificationToken | None, outcome: str, *, at: datetime) -> None:
    """End a code that is still live and cancel its message; one whose time is up gets the outcome of that."""
    ended = decisions.outcome_of_end(token, outcome, at=at)
    if token is not None and ended:
        _end(token.pk, ended, at=at)


def _end(token_id: UUID, outcome: str, *, at: datetime) -> None:
    sql.end(token_id, outcome, at=at)
    outbox.cancel_with_commit([token_id], at=at, detail=f"código {outcome}")
