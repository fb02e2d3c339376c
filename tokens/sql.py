"""Hand-written statements of the two operations that every client waits for: requesting a code and verifying it.

The ORM is the largest cost of a request (docs/adr/0065), so these two operations have one statement for each step, and
`tokens.services` has the rules. Rows are returned as instances of the models, with the columns that a decision needs.
An operation locks in one statement and reads in a later one: a statement that does both would decide by the snapshot
that it took before it waited for the lock.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from clients.models import Applicant
from messaging.models import Via
from messaging.queue import outbox
from tokens import cooldown_queries, destinations
from tokens.cooldown import LOOK_BACK
from tokens.models import MAX_TRIES, VerificationToken

_APPLICANT = ("id", "partner_id", "email", "state", "wrong_codes_in_a_row", "locked_at")
_TOKEN = (
    "id",
    "applicant_id",
    "via",
    "destination",
    "operator",
    "code_hmac",
    "wrong_tries",
    "created_at",
    "expires_at",
    "outcome",
)
"""In the order of the model's fields, which `from_db` asks for; so are the applicant's."""
_EMAIL = "(SELECT email FROM clients_applicant WHERE id = %(applicant)s)"

_LOCK = f"""
    SELECT {", ".join(_APPLICANT)} FROM clients_applicant
    WHERE id = %(applicant)s AND partner_id IS NOT DISTINCT FROM %(partner)s::bigint AND forgotten_at IS NULL
    FOR NO KEY UPDATE
"""  # noqa: S608  this module's constants, here and below
_LATEST = f"""
    SELECT {", ".join(_TOKEN)} FROM tokens_verificationtoken
    WHERE applicant_id = %(applicant)s ORDER BY created_at DESC LIMIT 1
"""  # noqa: S608  only this module's constants are put in


def _lock_both(destination: str) -> str:
    """SQL that locks the applicant, then the destination: a function of the outer SELECT runs after the row lock."""
    return f"""
        WITH applicant AS MATERIALIZED ({_LOCK})
        SELECT {", ".join(_APPLICANT)}, {destinations.advisory_lock("%(via)s", destination)} FROM applicant
    """  # noqa: S608  only this module's constants are put in


def _ladder_rows(via: str, destination: str) -> str:
    return f"""
        SELECT latest.*, counting.*, (
            SELECT id FROM clients_applicant
            WHERE proved_destination = {destination} AND state = 'VALIDADO' AND forgotten_at IS NULL
              AND {{partner}} AND id <> %(applicant)s
            ORDER BY validated_at DESC LIMIT 1
        )
        FROM (
            SELECT array_agg(of_client), array_agg(own), array_agg(created_at)
            FROM ({cooldown_queries.counting(via, destination)}) AS each(of_client, own, created_at)
        ) AS counting LEFT JOIN ({_LATEST}) AS latest ON true
    """  # noqa: S608  only this module's constants are put in


def _destination(via: str) -> str:
    return _EMAIL if via == Via.EMAIL else "%(destination)s"


_LOCK_BOTH = {via: _lock_both("email" if via == Via.EMAIL else "%(destination)s") for via in Via.values}
_LADDERS_AND_LATEST = {
    (via, has_partner): _ladder_rows(via, _destination(via)).format(
        partner="partner_id = %(partner)s" if has_partner else "partner_id IS NULL"
    )
    for via in Via.values
    for has_partner in (True, False)
}
_ISSUE = f"""
    WITH token AS (
        INSERT INTO tokens_verificationtoken (
            id, applicant_id, via, destination, operator, code_hmac, wrong_tries, created_at, expires_at, outcome,
            client_attempt, client_wait, destination_attempt, destination_wait
        ) VALUES (
            %(token_id)s, %(token_applicant_id)s, %(token_via)s, %(token_destination)s, %(token_operator)s,
            %(token_code_hmac)s, 0, %(token_created_at)s, %(token_expires_at)s, 'PENDIENTE',
            %(token_client_attempt)s, %(token_client_wait)s, %(token_destination_attempt)s, %(token_destination_wait)s
        )
    )
    {outbox.INSERT}
"""  # noqa: S608  only this module's constants are put in
_ACCEPT = f"""
    WITH accepted AS (
        UPDATE tokens_verificationtoken SET outcome = 'VALIDADO', finished_at = %(at)s
        WHERE id = %(token)s AND outcome = 'PENDIENTE' AND wrong_tries < {MAX_TRIES}
        RETURNING applicant_id, via, destination, operator
    )
    UPDATE clients_applicant AS applicant
    SET state = 'VALIDADO', validated_at = %(at)s, wrong_codes_in_a_row = 0, proved_via = accepted.via,
        proved_destination = accepted.destination, proved_operator = accepted.operator
    FROM accepted WHERE applicant.id = accepted.applicant_id
    RETURNING ARRAY(SELECT DISTINCT state FROM messaging_message WHERE reference = %(token)s)
"""  # noqa: S608  only this module's constants are put in


@dataclass(frozen=True)
class Snapshot:
    """Rows that decide about a request for a code."""

    applicant: Applicant
    destination: str
    latest: VerificationToken | None
    ladders: cooldown_queries.Ladders
    proved_before_by: UUID | None
    """The last other applicant of the same partner who proved this destination."""


def lock_and_read(applicant_id: UUID, partner_id: int | None, via: str, phone: str, *, at: datetime) -> Snapshot | None:
    """Lock the applicant and the destination, and read what counts; None: this partner has no such applicant."""
    params = {
        "applicant": applicant_id,
        "partner": partner_id,
        "via": via,
        "destination": phone,
        "since": at - LOOK_BACK,
    }
    locked, found = _in_one_exchange(
        [(_LOCK_BOTH[via], params), (_LADDERS_AND_LATEST[via, partner_id is not None], params)]
    )
    if locked is None:
        return None
    applicant = _instance(Applicant, _APPLICANT, locked)
    latest, (of_client, own, created), proved = found[: len(_TOKEN)], found[len(_TOKEN) : -1], found[-1]
    token = _instance(VerificationToken, _TOKEN, latest)
    if token is not None:
        # Callers read their clocks before they wait for the lock, and get it in any order: the latest code must be the
        # one that was accepted last.
        at = max(at, token.created_at + cooldown_queries.NEXT_MOMENT)
    return Snapshot(
        applicant=applicant,
        destination=applicant.email if via == Via.EMAIL else phone,
        latest=token,
        ladders=cooldown_queries.Ladders.of(list(zip(of_client or (), own or (), created or (), strict=True)), at=at),
        proved_before_by=proved,
    )


def lock_and_read_latest(
    applicant_id: UUID, partner_id: int | None
) -> tuple[Applicant, VerificationToken | None] | None:
    """Lock the applicant, and read their latest code; None: this partner has no such applicant."""
    params = {"applicant": applicant_id, "partner": partner_id}
    locked, latest = _in_one_exchange([(_LOCK, params), (_LATEST, params)])
    if locked is None:
        return None
    return _instance(Applicant, _APPLICANT, locked), _instance(VerificationToken, _TOKEN, latest or (None,))


def insert_token_and_message(token: VerificationToken, message: dict[str, Any]) -> None:
    """Insert both. `message`: as `outbox.fields` makes it."""
    columns = {f"token_{field.attname}": getattr(token, field.attname) for field in token._meta.concrete_fields}
    with connection.cursor() as cursor:
        cursor.execute(_ISSUE, columns | outbox.as_parameters(message))


def accept(token_id: UUID, *, at: datetime) -> set[str] | None:
    """End a live code as validated, and mark its applicant as validated. Return the states of its messages; None: the
    code was no longer live."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPT, {"token": token_id, "at": at})
        row = cursor.fetchone()
    return set(row[0]) if row else None


def _instance(model: Any, names: Sequence[str], row: Sequence[Any]) -> Any:
    """Build an instance with these columns; the others are read when asked for."""
    return model.from_db(connection.alias, names, row[: len(names)]) if row[0] is not None else None


def _in_one_exchange(statements: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Return the first row of each statement's answer; all are sent before the first is awaited (libpq's pipeline)."""
    with ExitStack() as stack:
        cursors = [stack.enter_context(connection.cursor()) for _ in statements]
        with connection.wrap_database_errors, connection.connection.pipeline():
            for cursor, (sql, params) in zip(cursors, statements, strict=True):
                cursor.execute(sql, params)
        return [cursor.fetchone() for cursor in cursors]
