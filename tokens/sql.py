"""Hand-written statements of codes, first those that every client waits for: requesting a code and verifying it.

The ORM is the largest cost of a request (docs/adr/0065), so those two operations have one statement for each step, and
`tokens.decisions` has the rules. Rows are returned as the plain values that a decision needs. An operation locks in one
statement and reads in a later one: a statement that does both would decide by the snapshot that it took before it
waited for the lock.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from clients.credentials import Known
from clients.errors import CredentialChanged
from clients.events.models import EventType
from clients.events.payload import moment
from clients.events.sql import INSERT as INSERT_EVENT
from clients.events.writing import parameters as event_parameters
from clients.postgresql import exchange, execute_with_commit
from clients.sql import CREDENTIAL_VERSION
from messaging.masking import masked
from messaging.models import Via
from messaging.queue import outbox
from tokens import destinations, event_sql
from tokens.cooldown import LOOK_BACK
from tokens.decisions import Code, Person, Snapshot
from tokens.models import MAX_TRIES, VerificationToken

_PERSON = tuple(field.name for field in fields(Person))
_CODE = tuple(field.name for field in fields(Code))
_EMAIL = "(SELECT email FROM clients_applicant WHERE id = %(applicant)s)"

_LOCK = f"""
    SELECT {", ".join(_PERSON)} FROM clients_applicant
    WHERE id = %(applicant)s AND partner_id IS NOT DISTINCT FROM %(partner)s::bigint AND forgotten_at IS NULL
    FOR NO KEY UPDATE
"""  # noqa: S608  this module's constants, here and below
_LATEST = f"""
    SELECT {", ".join(_CODE)} FROM tokens_verificationtoken
    WHERE applicant_id = %(applicant)s ORDER BY created_at DESC LIMIT 1
"""  # noqa: S608  only this module's constants are put in
_LOCK_WITH_LATEST = f"""
    WITH person AS MATERIALIZED ({_LOCK}), latest AS MATERIALIZED (
        SELECT {", ".join(_CODE)} FROM tokens_verificationtoken
        WHERE applicant_id = (SELECT id FROM person) ORDER BY created_at DESC LIMIT 1 FOR NO KEY UPDATE
    )
    SELECT person.*, latest.*, ARRAY(SELECT DISTINCT state FROM messaging_message WHERE reference = latest.id),
        {CREDENTIAL_VERSION}
    FROM person LEFT JOIN latest ON true
"""  # noqa: S608  only this module's constants are put in
"""Locks the applicant, then the latest code by the snapshot from before the wait for that lock, as it is after it. If
that code is live, it is the latest one: an applicant has one live code (`one_pending_token_per_applicant`)."""


_TWIN = "%(partner)s::bigint"
"""The parameter of a statement for a test twin: there the applicant's partner."""


def counting(via: str, destination: str, *, is_twin: bool = False) -> str:
    """SQL with the parameters applicant, via and since, of a test twin also partner; `destination` is SQL too.

    Both ladders in one statement, over two indexes; a handful of rows whatever the history. A rung that was given back
    counts on neither. A validated code does not count on the destination's. Requests up to the last forgiveness do not
    count on the ladder that was forgiven. Each row of the destination's ladder says whether the applicant's own partner
    asked.
    """
    is_to_destination = destinations.is_to(via, destination, twin=_TWIN if is_twin else "")
    return f"""
        SELECT true, true, created_at FROM tokens_verificationtoken
        WHERE applicant_id = %(applicant)s AND via = %(via)s AND created_at >= %(since)s AND returned_at IS NULL
          AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                     WHERE applicant_id = %(applicant)s AND via = %(via)s), '-infinity')
        UNION ALL
        SELECT false, (SELECT partner_id FROM clients_applicant WHERE id = token.applicant_id)
            IS NOT DISTINCT FROM (SELECT partner_id FROM clients_applicant WHERE id = %(applicant)s), created_at
        FROM tokens_verificationtoken AS token
        WHERE {is_to_destination} AND created_at >= %(since)s AND returned_at IS NULL AND outcome <> 'VALIDADO'
          AND created_at > coalesce((SELECT max(at) FROM tokens_ladderforgiveness
                                     WHERE {is_to_destination}), '-infinity')
    """  # noqa: S608  this module's constants


LADDERS = {
    (via, is_twin): counting(via, "%(destination)s", is_twin=is_twin) for via in Via.values for is_twin in (False, True)
}
"""By via, and whether the applicant is of a test twin."""


def _lock_both(destination: str, *, is_twin: bool) -> str:
    """SQL that locks the applicant, then the destination: a function of the outer SELECT runs after the row lock."""
    return f"""
        WITH applicant AS MATERIALIZED ({_LOCK})
        SELECT {", ".join(_PERSON)}, {destinations.advisory_lock("%(via)s", destination, twin=_TWIN if is_twin else "")}
        FROM applicant
    """  # noqa: S608  only this module's constants are put in


def _ladder_rows(via: str, destination: str, partner: str, *, is_twin: bool) -> str:
    """`partner`: SQL condition of the applicants of the same partner."""
    return f"""
        SELECT latest.*, counting.*, (
            SELECT id FROM clients_applicant
            WHERE proved_destination = {destination} AND state = 'VALIDADO' AND forgotten_at IS NULL
              AND {partner} AND id <> %(applicant)s
            ORDER BY validated_at DESC LIMIT 1
        ), {CREDENTIAL_VERSION}
        FROM (
            SELECT array_agg(of_client), array_agg(own), array_agg(created_at)
            FROM ({counting(via, destination, is_twin=is_twin)}) AS each(of_client, own, created_at)
        ) AS counting LEFT JOIN ({_LATEST}) AS latest ON true
    """  # noqa: S608  only this module's constants are put in


def _destination(via: str) -> str:
    return _EMAIL if via == Via.EMAIL else "%(destination)s"


_LOCK_BOTH = {
    (via, is_twin): _lock_both("email" if via == Via.EMAIL else "%(destination)s", is_twin=is_twin)
    for via in Via.values
    for is_twin in (False, True)
}
_NOBODY, _PARTNER, _OF_TWIN = range(3)
"""Whom an applicant belongs to: no partner, a partner, the test twin of one."""
_LADDERS_AND_LATEST = {
    (via, whose): _ladder_rows(
        via,
        _destination(via),
        "partner_id IS NULL" if whose == _NOBODY else "partner_id = %(partner)s",
        is_twin=whose == _OF_TWIN,
    )
    for via in Via.values
    for whose in (_NOBODY, _PARTNER, _OF_TWIN)
}
_INSERT_CODE = """
    INSERT INTO tokens_verificationtoken (
        id, applicant_id, twin_id, via, destination, operator, code_hmac, wrong_tries, created_at, expires_at, outcome,
        client_attempt, client_wait, destination_attempt, destination_wait
    ) VALUES (
        %(token_id)s, %(token_applicant_id)s, %(token_twin_id)s, %(token_via)s, %(token_destination)s,
        %(token_operator)s, %(token_code_hmac)s, 0, %(token_created_at)s, %(token_expires_at)s, 'PENDIENTE',
        %(token_client_attempt)s, %(token_client_wait)s, %(token_destination_attempt)s, %(token_destination_wait)s
    )
"""


def _accepting(request: str = "") -> str:
    """SQL that accepts a live code; `request` is a further part of its WITH."""
    return f"""
        WITH accepted AS (
            UPDATE tokens_verificationtoken SET outcome = 'VALIDADO', finished_at = %(at)s, code_hmac = ''
            WHERE id = %(token)s AND outcome = 'PENDIENTE' AND wrong_tries < {MAX_TRIES}
            RETURNING id, applicant_id, via, destination, operator
        ){request}, proved AS (
            UPDATE clients_applicant AS applicant
            SET state = 'VALIDADO', validated_at = %(at)s, wrong_codes_in_a_row = 0, proved_via = accepted.via,
                proved_destination = accepted.destination, proved_operator = accepted.operator
            FROM accepted WHERE applicant.id = accepted.applicant_id RETURNING applicant.id, applicant.partner_id
        )
        {event_sql.of_accepted()}
    """  # noqa: S608  this module's constants


ACCEPT = _accepting()
END = f"""
    WITH ended AS (
        UPDATE tokens_verificationtoken SET outcome = %(outcome)s, finished_at = %(at)s
        WHERE id = %(token)s AND outcome = 'PENDIENTE' RETURNING {event_sql.RETURNING}
    )
    {event_sql.of_ended()}
"""  # noqa: S608  this module's constants


SWEEP_SIZE = 500
"""Codes in one statement of the sweep, as in `messaging.sql.SWEEP_SIZE`."""


def _closing(condition: str) -> str:
    return f"""
        WITH ended AS (
            UPDATE tokens_verificationtoken
            SET outcome = CASE WHEN wrong_tries > 0 THEN 'EXPIRADO' ELSE 'SIN_RESPUESTA' END, finished_at = %(at)s
            WHERE {condition} RETURNING {event_sql.RETURNING}
        ), event AS ({event_sql.of_ended()})
        SELECT count(*) FROM ended
    """  # noqa: S608  this module's constants


_OVERDUE = "outcome = 'PENDIENTE' AND expires_at < %(at)s"
_SOME_OVERDUE = f"""
    SELECT id FROM tokens_verificationtoken WHERE {_OVERDUE} LIMIT {SWEEP_SIZE:d} FOR UPDATE SKIP LOCKED
"""  # noqa: S608  as above
CLOSE_EXPIRED = _closing(f"id = ANY (ARRAY({_SOME_OVERDUE}))")
CLOSE_EXPIRED_OF_TWIN = _closing(f"{_OVERDUE} AND twin_id = %(twin)s")
"""Each returns how many codes ended."""
RETURN_RUNGS = f"""
    WITH pending AS (
        SELECT id, %(certainly)s AND outcome = 'PENDIENTE' AS ends FROM tokens_verificationtoken
        WHERE id = ANY(%(ids)s) AND returned_at IS NULL FOR NO KEY UPDATE
    ), ended AS (
        UPDATE tokens_verificationtoken AS token
        SET returned_at = %(at)s, outcome = CASE WHEN ends THEN 'NO_ENVIADO' ELSE outcome END,
            finished_at = CASE WHEN ends THEN %(at)s ELSE finished_at END
        FROM pending WHERE token.id = pending.id
        RETURNING token.id, applicant_id, via, destination, outcome, ends
    )
    {event_sql.of_ended("ends")}
"""  # noqa: S608  this module's constants
"""Codes whose message no provider took: `certainly`, or as far as is known."""
FORGET_DESTINATIONS = """
    UPDATE tokens_verificationtoken
    SET forget_at = CASE WHEN created_at >= %(since)s THEN created_at + %(look_back)s END,
        destination = CASE WHEN created_at >= %(since)s THEN destination ELSE '' END,
        operator = ''
    WHERE applicant_id = ANY(%(ids)s) AND destination <> ''
"""
"""Of an erased applicant: a destination that a ladder still needs is blanked when none needs it any more."""


@lru_cache
def issue(request_insert: str = "", *, for_partner: bool) -> str:
    """Statement that writes a code, its message and its event, and the row of the request, whose id goes into the
    message. A client of no partner has nobody to be told."""
    parts, message = [f"token AS ({_INSERT_CODE})"], outbox.INSERT
    if request_insert:
        parts.append(f"request AS ({request_insert} RETURNING id)")
        message = message.replace("%(message_request_id)s", "(SELECT id FROM request)")
    if for_partner:
        parts.append(f"event AS ({INSERT_EVENT})")
    return f"WITH {', '.join(parts)} {message}"


@lru_cache
def accept(request_insert: str) -> str:
    """ACCEPT that also writes the row of the request, if it accepts the code."""
    return _accepting(f", request AS ({request_insert} FROM accepted)")


@dataclass(frozen=True)
class RequestRow:
    """Row of the request log, to be written together with what the request changes: one statement and one commit less.

    `insert` is an INSERT from a SELECT without FROM; `parameters` gives its parameters when it is written.
    """

    insert: str
    parameters: Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A new code, by the columns of its row."""

    id: UUID
    applicant_id: UUID
    twin_id: int | None
    via: str
    destination: str
    operator: str
    code_hmac: bytes
    created_at: datetime
    expires_at: datetime
    client_attempt: int
    client_wait: timedelta
    destination_attempt: int
    destination_wait: timedelta


_PARAMETERS = tuple((f"token_{field.name}", field.name) for field in fields(IssuedCode))


@dataclass(frozen=True, slots=True)
class Latest:
    """The applicant, their latest code, and the states of its messages."""

    person: Person
    code: Code | None
    states: frozenset[str]


def lock_and_read(
    applicant_id: UUID,
    partner_id: int | None,
    via: str,
    phone: str,
    *,
    is_twin: bool = False,
    known: Known | None = None,
    at: datetime,
) -> Snapshot | None:
    """Lock the applicant and the destination, and read what decides; None: this partner has no such applicant.

    Raises CredentialChanged where `known`, by which the caller was authenticated from memory, is no longer so.
    """
    params = {
        "applicant": applicant_id,
        "partner": partner_id,
        "credential": known.credential.pk if known else None,
        "via": via,
        "destination": phone,
        "since": at - LOOK_BACK,
    }
    whose = _OF_TWIN if is_twin else _NOBODY if partner_id is None else _PARTNER
    locked, rows = exchange((_LOCK_BOTH[via, is_twin], params), (_LADDERS_AND_LATEST[via, whose], params))
    if not locked:
        return None
    *found, proved, version = rows[0]
    _confirm(known, version)
    person = Person(*locked[0][: len(_PERSON)])
    latest, (of_client, own, created) = found[: len(_CODE)], found[len(_CODE) :]
    return Snapshot(
        person=person,
        destination=person.email if via == Via.EMAIL else phone,
        latest=Code(*latest) if latest[0] is not None else None,
        requests=list(zip(of_client or (), own or (), created or (), strict=True)),
        proved_before_by=proved,
    )


def lock_and_read_latest(applicant_id: UUID, partner_id: int | None, *, known: Known | None = None) -> Latest | None:
    """Lock the applicant and their latest code, and read both; None: this partner has no such applicant.

    Raises CredentialChanged, as `lock_and_read`.
    """
    params = {"applicant": applicant_id, "partner": partner_id, "credential": known.credential.pk if known else None}
    found = _lock_with_latest(params, known)
    if found is not None and (found.code is None or found.code.outcome != VerificationToken.Outcome.PENDING):
        return _lock_with_latest(params, known)  # another one may have been issued before the lock was ours
    return found


def _lock_with_latest(params: dict[str, Any], known: Known | None) -> Latest | None:
    (rows,) = exchange((_LOCK_WITH_LATEST, params))
    if not rows:
        return None
    *found, states, version = rows[0]
    _confirm(known, version)
    person, code = found[: len(_PERSON)], found[len(_PERSON) :]
    return Latest(Person(*person), Code(*code) if code[0] is not None else None, frozenset(states))


def _confirm(known: Known | None, version: str | None) -> None:
    if known is not None and version != known.version:
        raise CredentialChanged


def insert_token_and_message(token: IssuedCode, message: dict[str, Any], row: RequestRow | None) -> None:
    """Insert both, the event, and the row of the request, with the COMMIT. `message`: as `outbox.fields` makes it."""
    columns: dict[str, Any] = {parameter: getattr(token, name) for parameter, name in _PARAMETERS}
    columns |= outbox.as_parameters(message)
    partner = message["partner_id"]
    if partner is not None:
        data = {
            "client_id": str(token.applicant_id),
            "via": token.via,
            "to": masked(token.via, token.destination),
            "message_id": str(message["id"]),
            "expires_at": moment(token.expires_at),
        }
        requested = EventType.VERIFICATION_REQUESTED
        columns |= event_parameters(partner, requested, token.id, data, at=token.created_at)
    if row is not None:
        columns |= row.parameters()
    execute_with_commit((issue(row.insert if row else "", for_partner=partner is not None), columns))


def end(token_id: UUID, outcome: str, *, at: datetime) -> None:
    """End a code, if it is still live, with the COMMIT."""
    execute_with_commit((END, {"token": token_id, "outcome": outcome, "at": at}))


def mark_accepted(token_id: UUID, row: RequestRow | None, *, at: datetime) -> None:
    """End a live code, which the caller has locked, as validated, mark its applicant as validated, and write the row of
    the request, with the COMMIT."""
    params: dict[str, Any] = {"token": token_id, "at": at}
    execute_with_commit((ACCEPT, params) if row is None else (accept(row.insert), params | row.parameters()))
