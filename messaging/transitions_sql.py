"""Statements that change the state of messages: each writes the new state and its event. A test runs each through
EXPLAIN (tests/test_sql.py).

They are made from the table of changes and `TRANSITIONS` when this module is imported; `_move` has their form. Each
constant has a statement for each state that its messages may get, and goes to `messaging.queue.transitions.move`.
"""

from clients.events import sql as events
from messaging.models import TRANSITIONS, Message
from messaging.reasons import of_message
from messaging.sql import STILL_SUBSCRIBED, SWEEP_SIZE
from messaging.suppression_sql import NOT_SUPPRESSED

S = Message.State

_HELD = "claim_id = NULL, lease_until = NULL, handed_over_at = NULL"
_UNLEASED = "lease_until = NULL, sealed = CASE WHEN kept_until IS NOT NULL THEN sealed END"
_SPENT = f"claim_id = NULL, {_UNLEASED}"  # nobody asks whose claim a settled message had
_OVER = "sealed = NULL, kept_until = NULL"
_CHANGES = {
    S.QUEUED: _HELD,
    S.SENT: f"{_SPENT}, sent_at = %(at)s",
    S.DELIVERED: f"{_OVER}, claim_id = NULL, lease_until = NULL, sent_at = coalesce(sent_at, %(at)s),"
    " delivered_at = %(at)s",
    S.UNDELIVERED: f"{_SPENT}, sent_at = coalesce(sent_at, %(at)s)",
    S.FAILED: _SPENT,
    S.UNKNOWN: _UNLEASED,  # the claim stays: a late answer of its own may still settle it
    S.EXPIRED: f"{_OVER}, {_HELD}",
    S.CANCELLED: f"{_OVER}, {_HELD}",
}
"""SET clauses of each new state. A code is kept (`kept_until`) only while a fallback may need it."""
_ONLY_BEFORE_HAND_OVER = {S.EXPIRED, S.CANCELLED}
_WITH_EVENT = {S.SENT, S.DELIVERED, S.UNDELIVERED}
"""States that the partner is told, where the message is a code, a bulletin or an alert of its own."""


def _some(rows: str, limit: int) -> str:
    """SQL condition: some of the rows that match `rows`, without those that others have locked.

    An array, read once: as a join, PostgreSQL may run the inner query for each row while its statistics say that
    nothing is queued. The locked rows meet the guard, so the update does not check it again.
    """
    found = f"SELECT id FROM messaging_message WHERE {rows} LIMIT {limit:d} FOR UPDATE SKIP LOCKED"  # noqa: S608  this module's constants
    return f"id = ANY (ARRAY({found}))"


def _guard(to: str) -> str:
    """SQL condition: a state that may change to `to`; for EXPIRED and CANCELLED also that there was no hand-over."""
    sources = ", ".join(f"'{state}'" for state, targets in TRANSITIONS.items() if to in targets)
    allowed = f"state IN ({sources})"
    if to in _ONLY_BEFORE_HAND_OVER:
        return f"{allowed} AND (state <> 'SENDING' OR handed_over_at IS NULL)"
    return allowed


def _event_insert(to: str, at: str) -> str:
    """INSERT of a partner event for each row of `moved`: of a code under the code's id, of others under their own."""
    reason = of_message(to, "")
    also = f", 'reason', '{reason}'" if reason else ""
    data = f"""'message_id', id, 'kind', kind, 'via', via, 'to', {events.masked("via", "recipient")}{also}"""
    return events.insert(f"""
        SELECT partner_id, CASE WHEN kind = 'verificacion' THEN 'verification' ELSE 'message' END || '.{to.lower()}',
            CASE WHEN kind = 'verificacion' THEN reference ELSE id END::text, {at},
            jsonb_build_object({data})
        FROM moved
        WHERE partner_id IS NOT NULL
          AND (kind IN ('boletin', 'alerta') OR kind = 'verificacion' AND reference IS NOT NULL)
    """)  # noqa: S608  this module's constants


def _move(to: str, where: str, also: str, limit: int) -> str:
    if to == S.SENDING:
        raise ValueError("a message becomes SENDING by a claim (messaging.delivery.send), which writes no event")
    rows = f"{_guard(to)} AND {where}"
    changes = f"{_CHANGES[S(to)]}, {also}" if also else _CHANGES[S(to)]
    return f"""
        WITH moved AS (
            UPDATE messaging_message SET state = '{to}', {changes} WHERE {_some(rows, limit) if limit else rows}
            RETURNING id, kind, reference, attempts, provider, partner_id, via, recipient
        ), logged AS (
            INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
            SELECT id, %(at)s, '{to}', attempts, provider, %(detail)s FROM moved
        ){f", event AS ({_event_insert(to, '%(at)s')})" if to in _WITH_EVENT else ""}
        SELECT id, kind, reference FROM moved
    """  # noqa: S608  this module's constants


def moves(*states: str, where: str, also: str = "", limit: int = 0) -> dict[str, str]:
    """For each of these states, the statement that moves to it the messages that match `where`, and writes the event.

    `also`: further SET clauses. With a `limit`, for sweeps, locked rows are skipped.
    """
    return {to: _move(to, where, also, limit) for to in states}


_OF_CLAIM = "id = %(id)s AND claim_id = %(claim)s"
_NOT_HANDED_OVER = "id = ANY(%(ids)s) AND claim_id = %(claim)s AND handed_over_at IS NULL"

EXPIRE = moves(S.EXPIRED, where="send_before <= %(at)s", limit=SWEEP_SIZE)
EXPIRE_OF_PARTNER = moves(S.EXPIRED, where="send_before <= %(at)s AND partner_id = %(partner)s")
RETURN_LAPSED = moves(S.QUEUED, where="lease_until < %(at)s AND handed_over_at IS NULL", limit=SWEEP_SIZE)
GIVE_UP_LAPSED = moves(S.UNKNOWN, where="lease_until < %(at)s AND handed_over_at IS NOT NULL", limit=SWEEP_SIZE)

CANCEL = moves(S.CANCELLED, where="id = ANY(%(ids)s)")
CANCEL_REFERENCES = moves(S.CANCELLED, where="reference = ANY(%(references)s)")
CANCEL_CAMPAIGN = moves(S.CANCELLED, where="campaign_id = %(campaign)s")
SET_ASIDE = moves(S.CANCELLED, where="kind IN ('boletin', 'alerta', 'suscripcion')", limit=SWEEP_SIZE)
"""Mails that wait, but for codes (`messaging.campaigns.restore`)."""
CANCEL_UNWANTED = moves(
    S.CANCELLED,
    where=f"""{_NOT_HANDED_OVER} AND NOT ({STILL_SUBSCRIBED} AND EXISTS (
        SELECT FROM messaging_campaign AS c WHERE c.id = campaign_id AND c.state IN ('SENDING', 'PAUSED')
    ))""",
)
"""Of claimed messages: those whose client is no longer subscribed, or whose campaign is over."""
CANCEL_SUPPRESSED = moves(S.CANCELLED, where=f"{_NOT_HANDED_OVER} AND NOT {NOT_SUPPRESSED}")
"""Of claimed messages: those to a mailbox that gets no more mail of their company."""

GIVE_BACK = moves(
    S.QUEUED,
    where=f"{_OF_CLAIM} AND handed_over_at IS NULL",
    also="next_attempt_at = %(due)s, lane = %(gateway_queue)s",
)
GIVE_BACK_PAUSED = moves(S.QUEUED, where=_NOT_HANDED_OVER, also="next_attempt_at = %(never)s")
TAKE_BACK = moves(
    S.QUEUED,
    where=_OF_CLAIM,
    also="attempts = attempts - (handed_over_at IS NOT NULL)::int, lane = '', next_attempt_at = %(at)s",
)
RECORD = moves(
    *(S.QUEUED, S.SENT, S.FAILED, S.UNKNOWN),
    where=_OF_CLAIM,
    also="provider_reply = %(reply)s, provider_id = %(provider_id)s, next_attempt_at = %(next)s, lane = '',"
    " attempts = attempts - %(uncounted)s",
)
RECORD_SENT = f"""
    WITH answer AS (
        SELECT * FROM json_to_recordset(%(answers)s::json) AS each(
            id uuid, claim uuid, provider_id text, reply text, at timestamptz
        )
    ), moved AS (
        UPDATE messaging_message AS message
        SET state = 'SENT', {_SPENT}, sent_at = answer.at, lane = '', provider_reply = answer.reply,
            provider_id = answer.provider_id
        FROM answer WHERE message.id = ANY (ARRAY(SELECT id FROM answer)) AND message.id = answer.id
          AND message.claim_id = answer.claim AND {_guard(S.SENT)}
        RETURNING message.id, message.attempts, message.provider, answer.reply, answer.at, message.kind,
            message.reference, message.partner_id, message.via, message.recipient
    ), event AS ({_event_insert(S.SENT, "at")})
    INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
    SELECT id, at, 'SENT', attempts, provider, reply FROM moved RETURNING message_id
"""  # noqa: S608  this module's constants
"""Several messages, by a JSON text with the claim and the moment of each; returns the ids of those that moved."""

APPLY_REPORT = moves(
    *(S.DELIVERED, S.UNDELIVERED),
    where="id = %(message)s AND handed_over_at IS NOT NULL"
    " AND (provider_id IN ('', id::text, %(name)s) OR provider_id = ANY(%(spellings)s) OR provider = '')",
    also="provider_id = CASE WHEN provider_id IN ('', id::text) AND %(name)s <> '' THEN %(name)s ELSE provider_id END",
)
CONFIRM_BY_CODE = moves(
    S.DELIVERED,
    where="""id = (
        SELECT id FROM messaging_message
        WHERE reference = %(reference)s AND state IN ('UNDELIVERED', 'UNKNOWN') AND NOT EXISTS (
            SELECT FROM messaging_message AS other
            WHERE other.reference = %(reference)s AND (
                other.state IN ('SENT', 'DELIVERED') OR other.state = 'SENDING' AND other.handed_over_at IS NOT NULL
            )
        )
        ORDER BY state = 'UNKNOWN' DESC, handed_over_at DESC LIMIT 1
    )""",
)
