"""Models of partner events. `clients.models` imports them, where Django looks for models."""

import json
import secrets
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Func


class EventType(models.TextChoices):
    """What happened. The words are the partners' API's (docs/contracts/partners.md, Events)."""

    VERIFICATION_REQUESTED = "verification.requested", "Código pedido"
    VERIFICATION_SENT = "verification.sent", "Código enviado"
    VERIFICATION_DELIVERED = "verification.delivered", "Código entregado"
    VERIFICATION_UNDELIVERED = "verification.undelivered", "Código no entregado"
    VERIFICATION_VERIFIED = "verification.verified", "Código verificado"
    VERIFICATION_FAILED = "verification.failed", "Código fallido"
    VERIFICATION_EXPIRED = "verification.expired", "Código vencido"
    VERIFICATION_CANCELLED = "verification.cancelled", "Código cancelado"
    VERIFICATION_LOCKED = "verification.locked", "Cliente bloqueado"
    AUTHORIZATION_CREATED = "authorization.created", "Alta"
    AUTHORIZATION_REMOVED = "authorization.removed", "Baja"
    AUTHORIZATION_SUBSCRIBED = "authorization.subscribed", "Suscripción"
    AUTHORIZATION_UNSUBSCRIBED = "authorization.unsubscribed", "Desuscripción"
    AUTHORIZATION_SUPPRESSED = "authorization.suppressed", "Buzón sin envío"
    MESSAGE_SENT = "message.sent", "Mensaje enviado"
    MESSAGE_DELIVERED = "message.delivered", "Mensaje entregado"
    MESSAGE_UNDELIVERED = "message.undelivered", "Mensaje no entregado"
    REGISTRY_CLIENT_CREATED = "registry.client.created", "Cliente registrado"
    REGISTRY_CLIENT_UPDATED = "registry.client.updated", "Cliente actualizado"
    KEY_EXPIRING = "key.expiring", "Credencial por vencer"
    ENDPOINT_PAUSED = "endpoint.paused", "Webhook en pausa"


class TransactionIdField(models.Field):
    """`xid8` of PostgreSQL: the id of a transaction with its epoch, which does not wrap around. An int in Python."""

    def db_type(self, connection: Any) -> str:
        return "xid8"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> int | None:
        return None if value is None else int(value)

    def to_python(self, value: Any) -> int | None:
        return None if value is None else int(value)

    def get_prep_value(self, value: Any) -> Any:
        return value if value is None or hasattr(value, "resolve_expression") else str(value)


class CurrentTransactionId(Func):
    """Id of the transaction that runs."""

    function = "pg_current_xact_id"
    template = "%(function)s()"
    output_field = TransactionIdField()


class PartnerEvent(models.Model):
    """Event of a partner. Its place in the feed is (xid, id): see `clients.events.feed`.

    `data` holds ids, via, masked destination, outcome and reason; never a code, a name or a document.
    """

    MAX_DATA_BYTES = 4096
    """Most bytes of `data` as JSON."""

    id = models.BigAutoField(primary_key=True)
    xid = TransactionIdField(db_default=CurrentTransactionId(), editable=False)
    partner = models.ForeignKey("clients.Partner", on_delete=models.PROTECT, db_index=False, related_name="+")
    type = models.CharField(max_length=40, choices=EventType.choices)
    subject = models.CharField(max_length=64)
    at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        verbose_name = "evento"
        verbose_name_plural = "eventos"
        indexes = [
            models.Index("partner", "xid", "id", name="feed_of_a_partner"),
            BrinIndex(fields=["at"], name="events_by_age", autosummarize=True),  # for retention
            models.Index("subject", name="events_about_a_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"

    @property
    def test(self) -> bool:
        """Whether it is an event of a test twin. It is so of all events of a partner, so no row says it."""
        return bool(self.partner.is_twin)


def new_epoch() -> str:
    return secrets.token_hex(8)


class EventEpoch(models.Model):
    """Epoch of the database, in its only row. A database that is restored counts transactions anew, so it gets another
    one (`clients.events.restore`), and a cursor of the one before is refused."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.CharField(max_length=16, default=new_epoch)
    origin = models.CharField(max_length=40, default="", db_default="")  # the server: `clients.events.sql.ORIGIN`

    class Meta:
        constraints = [models.CheckConstraint(name="there_is_one_epoch", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return self.epoch


class PrunedEvents(models.Model):
    """Place of the last event of a partner that retention removed: a cursor before it has missed something."""

    partner = models.OneToOneField("clients.Partner", on_delete=models.CASCADE, primary_key=True, related_name="+")
    xid = TransactionIdField()
    event_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.xid}/{self.event_id}"


def encoded(data: dict[str, Any]) -> str:
    """`data` of an event as JSON. Raises ValueError over PartnerEvent.MAX_DATA_BYTES."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > PartnerEvent.MAX_DATA_BYTES:
        raise ValueError("the data of an event is too large")
    return text
