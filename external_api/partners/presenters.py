"""What partners see of themselves, their messages, their codes and their events. Moments are UTC, in ISO 8601."""

from collections.abc import Iterable, Sequence
from typing import Any

from clients.events.feed import Page
from clients.events.payload import as_json, moment
from clients.models import Credential, Partner
from messaging.masking import masked
from messaging.models import Message, SandboxMessage
from messaging.reasons import Reason, of_message
from tokens.models import VerificationToken

Outcome = VerificationToken.Outcome
OUTCOMES = {
    Outcome.PENDING: "pending",
    Outcome.VALIDATED: "verified",
    Outcome.FAILED: "failed",
    Outcome.EXPIRED: "expired",
    Outcome.NO_ANSWER: "unanswered",
    Outcome.CANCELLED: "cancelled",
    Outcome.REPLACED: "replaced",
    Outcome.NOT_SENT: "not_sent",
}
"""Words for what became of a code."""
STATES = {state: state.value.lower() for state in Message.State}
"""Words for the state of a message."""


def partner(
    who: Partner, keys: Iterable[Credential], used: Credential, limits: dict[str, dict[str, int | None]]
) -> dict[str, Any]:
    return {
        "name": who.name,
        "slug": who.slug,
        "test": who.is_twin,
        "contracts": list(who.contracts),
        "limits": limits,
        "keys": [
            {
                "prefix": key.prefix,
                "kind": key.kind,
                "created_at": moment(key.created_at),
                "last_used_at": moment(key.last_used_at),
                "expires_at": moment(key.expires_at),
                "is_this_one": key.pk == used.pk,
            }
            for key in keys
        ],
    }


def message(row: Message) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "via": row.via,
        "to": masked(row.via, row.recipient),
        "state": STATES[Message.State(row.state)],
        "reason": of_message(row.state, row.provider_reply),
        "attempts": row.attempts,
        "verification_id": str(row.reference) if row.kind == Message.Kind.VERIFICATION and row.reference else None,
        "created_at": moment(row.created_at),
        "sent_at": moment(row.sent_at),
        "delivered_at": moment(row.delivered_at),
    }


def verification(token: VerificationToken, messages: Sequence[Message], reason: Reason | None) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "client_id": str(token.applicant_id),
        "via": token.via,
        "to": masked(token.via, token.destination),
        "outcome": OUTCOMES[Outcome(token.outcome)],
        "reason": reason,
        "wrong_attempts": token.wrong_tries,
        "created_at": moment(token.created_at),
        "expires_at": moment(token.expires_at),
        "finished_at": moment(token.finished_at),
        "messages": [message(each) for each in messages],
    }


def outbox(row: SandboxMessage) -> dict[str, Any]:
    """A message of a test twin as its recipient would have read it, with its code."""
    return {"id": str(row.message_id), "via": row.via, "to": row.to, "text": row.text, "created": moment(row.created)}


def feed(page: Page) -> dict[str, Any]:
    return {"events": [as_json(each) for each in page.events], "next": str(page.next), "up_to_date": page.up_to_date}
