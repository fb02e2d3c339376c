"""Shapes of the API for partners."""

from typing import Literal, NotRequired, TypedDict

from aval_client.shapes.informaperu import Via

KeyKind = Literal["opaque", "jwt"]
Grouping = Literal["day", "via", "outcome"]
MessageKind = Literal["verificacion", "boletin", "alerta", "suscripcion"]
MessageState = Literal[
    "queued", "sending", "sent", "delivered", "undelivered", "failed", "unknown", "expired", "cancelled"
]
Outcome = Literal["pending", "verified", "failed", "expired", "unanswered", "cancelled", "replaced", "not_sent"]
Reason = Literal[
    "refused", "suppressed", "not_deliverable", "unclear", "stuck", "cancelled", "not_entered", "wrong", "late"
]
"""Why a message did not arrive or a code was not verified. `late` is in no event."""
SuppressionReason = Literal["hard_bounce", "complaint", "manual"]
"""Of `authorization.suppressed`."""
PauseReason = Literal["failing", "by_request"]
"""Of `endpoint.paused`."""
WebhookStatus = Literal["active", "paused", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class Limit(TypedDict):
    limit: int | None
    remaining: int | None


class Limits(TypedDict):
    requests_per_minute: Limit
    messages_per_day_S: Limit
    messages_per_day_W: Limit
    messages_per_day_I: Limit
    messages_per_day_C: Limit


class Key(TypedDict):
    prefix: str
    kind: KeyKind
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    is_this_one: bool


class Me(TypedDict):
    name: str
    slug: str
    test: bool
    contracts: list[str]
    limits: Limits
    keys: list[Key]


class UsageRow(TypedDict):
    day: NotRequired[str]
    via: NotRequired[Via]
    outcome: NotRequired[MessageState | Outcome]
    messages: int
    messages_delivered: int
    verifications: int
    verifications_delivered: int
    verifications_verified: int


Usage = TypedDict("Usage", {"from": str, "to": str, "by": Grouping, "rows": list[UsageRow], "missing": list[str]})


class Message(TypedDict):
    id: str
    kind: MessageKind
    via: Via
    to: str
    state: MessageState
    reason: Reason | None
    attempts: int
    verification_id: str | None
    created_at: str
    sent_at: str | None
    delivered_at: str | None


class Verification(TypedDict):
    id: str
    client_id: str
    via: Via
    to: str
    outcome: Outcome
    reason: Reason | None
    wrong_attempts: int
    created_at: str
    expires_at: str
    finished_at: str | None
    messages: list[Message]


class EventData(TypedDict, total=False):
    """What an event says. Its type decides which keys there are; others may be added."""

    client_id: str
    message_id: str
    kind: str
    via: Via
    to: str
    outcome: str
    reason: Reason | SuppressionReason | PauseReason | None
    id_solicitud: int
    clients: int
    prefix: str
    days: int
    expires_at: str
    endpoint_id: str
    failing_since: str


class Event(TypedDict):
    """An event of the feed. Types and keys may be added: ignore those that you do not know."""

    id: str
    type: str
    subject: str
    at: str
    data: EventData
    test: bool


class EventsPage(TypedDict):
    events: list[Event]
    next: str
    up_to_date: bool


class WebhookEvent(Event):
    """The body of a webhook."""

    timestamp: str


class Webhook(TypedDict):
    id: str
    url: str
    types: list[str] | None
    description: str
    email: str
    status: WebhookStatus
    created_at: str
    last_success_at: str | None
    failing_since: str | None
    paused_at: str | None
    resumed_from: str | None
    previous_secret_until: str | None


class WebhookWithSecret(Webhook):
    """Answer to the creation of an endpoint and to a rotation. The secret is not shown again."""

    secret: str


class Webhooks(TypedDict):
    webhooks: list[Webhook]


class WebhookChanges(TypedDict, total=False):
    url: str
    types: list[str] | None
    description: str
    email: str
    status: Literal["active", "paused"]


class Replay(TypedDict):
    replayed: int


class Delivery(TypedDict):
    id: str
    event_id: str | None
    type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    finished_at: str | None


class DeliveriesPage(TypedDict):
    deliveries: list[Delivery]
    next: str | None


class TwinKeys(TypedDict):
    """Answer to `POST /test/keys`. The keys are not shown again."""

    token: str
    jwt: str


class TwinClock(TypedDict):
    """Answer to `POST /test/clock`."""

    advanced_seconds: int


class TwinReset(TypedDict):
    """Answer to `POST /test/reset`."""

    removed: int


class TwinMessage(TypedDict):
    id: str
    via: Via
    to: str
    text: str
    created: str


class TwinMessages(TypedDict):
    messages: list[TwinMessage]
