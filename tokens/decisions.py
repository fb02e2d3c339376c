"""Decisions of the operations on codes, as pure functions over plain values.

`tokens.services` locks and reads, decides here, and writes. Nothing in this module knows a clock, a setting or a
database, so that every rule can be tested without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from clients.errors import ApplicantAlreadyValidated, ApplicantLocked
from clients.models import Applicant
from tokens.cooldown import Ladders, wait_before
from tokens.errors import CooldownActive, NoPendingToken
from tokens.models import TimeLimited, VerificationToken

LOCK_AFTER = 100
"""Wrong codes in a row over all of an applicant's tokens (NIST SP 800-63B, 5.2.2)."""
NEXT_MOMENT = timedelta(microseconds=1)
"""The least time between two codes of an applicant."""

Outcome = VerificationToken.Outcome


@dataclass(frozen=True, slots=True)
class Person:
    """The applicant, as far as a decision needs it."""

    id: UUID
    partner_id: int | None
    email: str
    state: str
    wrong_codes_in_a_row: int
    locked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Code(TimeLimited):
    """A code of the applicant."""

    id: UUID
    applicant_id: UUID
    via: str
    destination: str
    operator: str
    code_hmac: bytes
    wrong_tries: int
    created_at: datetime
    expires_at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What decides about a request for a code, read under the locks of the applicant and of the destination."""

    person: Person
    destination: str
    latest: Code | None
    requests: Sequence[tuple[bool, bool, datetime]]
    """As `Ladders.of` takes them."""
    proved_before_by: UUID | None
    """The last other applicant of the same partner who proved this destination."""


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that may be sent: its moment, and its rung on both ladders."""

    at: datetime
    client_attempt: int
    client_wait: timedelta
    destination_attempt: int
    destination_wait: timedelta
    ends_latest_as: str | None
    """Outcome of the code before it; None: there is none that is live."""


@dataclass(frozen=True, slots=True)
class WrongTry:
    """What a wrong code leads to. Without `remaining` tries the code ends."""

    remaining: int
    locks_applicant: bool


def request(found: Snapshot, via: str, *, at: datetime) -> NewCode:
    """Decide about a request for a code. Raises ApplicantAlreadyValidated, ApplicantLocked, CooldownActive.

    Callers read their clocks before they wait for the lock, and get it in any order. The latest code must be the one
    that was accepted last, so the moment of the new one is after it.
    """
    if found.person.state == Applicant.State.VALIDATED:
        raise ApplicantAlreadyValidated
    if found.person.locked_at is not None:
        raise ApplicantLocked
    if found.latest is not None:
        at = max(at, found.latest.created_at + NEXT_MOMENT)
    ladders = Ladders.of(found.requests, at=at)
    if ladders.applying.available_at is not None:
        raise CooldownActive(ladders.seen_by_partner, via=via, at=ladders.at)
    client_attempt, destination_attempt = ladders.client.attempts_24h + 1, ladders.destination.attempts_24h + 1
    return NewCode(
        at=ladders.at,
        client_attempt=client_attempt,
        client_wait=wait_before(client_attempt + 1),
        destination_attempt=destination_attempt,
        destination_wait=wait_before(destination_attempt + 1),
        ends_latest_as=outcome_of_end(found.latest, Outcome.REPLACED, at=ladders.at),
    )


def is_late(person: Person, latest: Code | None, *, at: datetime) -> bool:
    """Whether a typed code comes after the time of the latest one. Raises ApplicantLocked, NoPendingToken."""
    if person.locked_at is not None:
        raise ApplicantLocked
    if latest is None or latest.outcome not in (Outcome.PENDING, Outcome.EXPIRED, Outcome.NO_ANSWER):
        raise NoPendingToken
    return latest.outcome != Outcome.PENDING or latest.is_expired(at=at)


def wrong_try(person: Person, code: Code, *, tries: int) -> WrongTry:
    """Decide about a wrong code, of `tries` that are allowed."""
    return WrongTry(
        remaining=tries - (code.wrong_tries + 1), locks_applicant=person.wrong_codes_in_a_row + 1 >= LOCK_AFTER
    )


def outcome_of_end(code: Code | VerificationToken | None, outcome: str, *, at: datetime) -> str | None:
    """Outcome of a code that is ended now: `outcome`, or that of its time where it is up. None: nothing is live."""
    if code is None or code.outcome != Outcome.PENDING:
        return None
    return code.closing_outcome() if code.is_expired(at=at) else outcome
