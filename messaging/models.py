"""Models of messages (whose rows are the queue), their events, campaigns, providers and delivery receipts."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import HashIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from clients.models import AuthorizedClient, Credential, Partner
from clients.uuid7 import uuid7
from messaging.sandbox_outbox import SandboxMessage as SandboxMessage
from messaging.via import Via as Via


def no_line_break(text: str) -> None:
    """Refuse line breaks in a subject: they would begin another header (CR/LF injection). Raises ValidationError."""
    if not text.isprintable():
        raise ValidationError("No puede tener saltos de línea ni caracteres de control.")


class Campaign(models.Model):
    """A bulletin or an alert to the subscribed clients of some or all partners.

    DRAFT -> SCHEDULED -> SENDING -> DONE
                 |         |  ^
                 |         v  |
                 |        PAUSED
                 `---------`--`--> CANCELLED      SCHEDULED -> DRAFT: withdrawn, to be edited
    """

    class Type(models.TextChoices):
        ALERT = "alerta", "Alerta"
        BULLETIN = "boletin", "Boletín"

    class State(models.TextChoices):
        DRAFT = "DRAFT", "Borrador"  # being written
        SCHEDULED = "SCHEDULED", "Programada"  # begins at scheduled_at
        SENDING = "SENDING", "Enviando"  # messages are made and leave
        PAUSED = "PAUSED", "En pausa"  # no message leaves until it is resumed
        DONE = "DONE", "Terminada"  # every message is settled
        CANCELLED = "CANCELLED", "Anulada"  # messages that had not left are cancelled

    type = models.CharField("tipo", max_length=8, choices=Type.choices)
    subject = models.CharField("asunto", max_length=180, validators=[no_line_break])
    text = models.TextField("texto")
    html = models.TextField("HTML", blank=True)
    is_advertising = models.BooleanField(
        "es publicidad", default=True, help_text="Antepone PUBLICIDAD al asunto, como pide la Ley 28493."
    )
    partners = models.ManyToManyField(Partner, verbose_name="empresas", blank=True, help_text="Ninguna: todas.")
    profiles = ArrayField(
        models.CharField(max_length=100), verbose_name="perfiles", default=list, blank=True, help_text="Ninguno: todos."
    )
    state = models.CharField("estado", max_length=9, choices=State.choices, default=State.DRAFT)
    scheduled_at = models.DateTimeField("comienza", null=True, blank=True)
    audience = models.PositiveIntegerField("destinatarios", null=True)  # counted when it was scheduled
    last_client_id = models.BigIntegerField(default=0)  # messages are made up to this client
    fanned_out_at = models.DateTimeField(null=True)  # all messages are made
    created_by = models.CharField("creada por", max_length=150)
    created_at = models.DateTimeField("creada")
    started_at = models.DateTimeField("comenzó", null=True)
    finished_at = models.DateTimeField("terminó", null=True)
    pause_reason = models.CharField(
        max_length=300, blank=True, db_default=""
    )  # why it paused itself; empty: it did not
    restored_at = models.DateTimeField(null=True, editable=False)
    """When a backup was restored in which it had begun or was scheduled: it may have gone further since the backup."""

    class Meta:
        verbose_name = "campaña"
        ordering = ["-created_at"]
        indexes = [
            models.Index("scheduled_at", name="campaigns_to_run", condition=Q(state__in=["SCHEDULED", "SENDING"]))
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def full_subject(self) -> str:
        return f"PUBLICIDAD: {self.subject}" if self.is_advertising else self.subject


class Message(models.Model):
    """One message to one recipient. The rows are the queue; Redis only carries wake-ups (docs/adr/0001).

    QUEUED -> SENDING -> SENT -> DELIVERED
       |         |         `---> UNDELIVERED       receipt: not delivered
       |         |-----> QUEUED                    temporary refusal, or the claim lapsed before the hand-over
       |         |-----> FAILED                    permanent refusal, or no attempts left
       |         |-----> UNKNOWN                   handed over, no clear answer: never sent again by itself
       |         |-----> DELIVERED, UNDELIVERED    a receipt that came before our own record
       |         `-----> EXPIRED, CANCELLED        only before the hand-over
       |-------> EXPIRED                           its code expired before a provider took it
       `-------> CANCELLED                         superseded, cancelled, or its client removed

    UNKNOWN -> SENT (late answer, same claim), DELIVERED, UNDELIVERED
    UNDELIVERED -> DELIVERED                       a later receipt, or the code was entered correctly
    """

    class Kind(models.TextChoices):
        VERIFICATION = "verificacion", "Código de verificación"
        SUBSCRIPTION = "suscripcion", "Confirmación de suscripción"
        ALERT = "alerta", "Alerta"
        BULLETIN = "boletin", "Boletín"

    class State(models.TextChoices):
        QUEUED = "QUEUED", "En cola"  # due at next_attempt_at, not claimed
        SENDING = "SENDING", "Enviando"  # claimed until lease_until; handed over where handed_over_at is set
        SENT = "SENT", "Enviado"  # a provider took it
        DELIVERED = "DELIVERED", "Entregado"  # receipt: delivered
        UNDELIVERED = "UNDELIVERED", "No entregado"  # receipt: not delivered; a better one may follow
        FAILED = "FAILED", "Fallido"  # no provider took it, and none will be tried again
        UNKNOWN = "UNKNOWN", "Sin respuesta clara"  # handed over, perhaps sent
        EXPIRED = "EXPIRED", "Vencido"  # send_before passed before the hand-over
        CANCELLED = "CANCELLED", "Anulado"  # no longer wanted, before the hand-over

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, blank=True, related_name="messages")
    credential = models.ForeignKey(
        Credential, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )  # nobody deletes credentials, and nothing is searched by them
    request_id = models.BigIntegerField(null=True)  # ApiRequest: with the credential, the origin DL 1723 asks for
    trace_id = models.UUIDField(null=True)  # the request id of the logs (clients.request_id)
    kind = models.CharField("tipo", max_length=12, choices=Kind.choices)
    via = models.CharField("vía", max_length=1, choices=Via.choices)
    recipient = models.CharField("destino", max_length=254)  # empty: erased (messaging.retention)
    subject = models.CharField("asunto", max_length=200, blank=True)
    text = models.TextField("texto")  # its code masked
    html = models.TextField(blank=True)
    sealed = models.BinaryField(null=True)  # the code, Fernet; NULL once it is not needed
    kept_until = models.DateTimeField(null=True)  # a fallback may need the code until then
    state = models.CharField("estado", max_length=11, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField("intentos", default=0)  # hand-overs, not claims
    claim_id = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    handed_over_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField("próximo intento")
    gateway_queue = models.CharField(max_length=100, blank=True, db_default="", db_column="lane")
    """Name of the gateway whose own process must take it (SMPP); empty: any worker."""
    send_before = models.DateTimeField("enviar antes de", null=True)
    provider = models.CharField("proveedor", max_length=100, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)
    provider_reply = models.CharField("respuesta del proveedor", max_length=300, blank=True)
    authorized_client = models.ForeignKey(
        AuthorizedClient, on_delete=models.PROTECT, null=True, blank=True, related_name="messages", db_index=False
    )
    campaign = models.ForeignKey(
        Campaign, on_delete=models.PROTECT, null=True, blank=True, related_name="messages", db_index=False
    )  # searched by the index of one_message_per_campaign_and_client
    reference = models.UUIDField(null=True)  # the caller's own id; for a code its token's
    fallback_for = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="fallbacks",
        db_index=False,
        verbose_name="en lugar de",
    )
    created_at = models.DateTimeField("creado")
    sent_at = models.DateTimeField("enviado el", null=True)
    delivered_at = models.DateTimeField("entregado el", null=True)

    class Meta:
        verbose_name = "mensaje"
        constraints = [
            models.UniqueConstraint(
                name="one_message_per_campaign_and_client",
                fields=["campaign", "authorized_client"],
                condition=Q(campaign__isnull=False),
            ),
            models.UniqueConstraint(
                name="one_message_per_campaign_and_address",
                fields=["campaign", "recipient"],
                condition=Q(campaign__isnull=False) & ~Q(recipient=""),  # empty: erased
            ),
            models.CheckConstraint(
                name="a_settled_message_holds_no_secret",
                condition=Q(state__in=["QUEUED", "SENDING"]) | Q(sealed__isnull=True) | Q(kept_until__isnull=False),
            ),
            models.CheckConstraint(
                name="sending_means_claimed",
                condition=~Q(state="SENDING") | Q(claim_id__isnull=False, lease_until__isnull=False),
            ),
        ]
        indexes = [
            # for claims: its size depends on waiting messages, not on the history
            models.Index("kind", "next_attempt_at", name="message_due", condition=Q(state="QUEUED")),
            models.Index("lease_until", name="message_leased", condition=Q(state="SENDING")),
            models.Index(
                "send_before",
                name="message_to_expire",
                condition=Q(send_before__isnull=False, state__in=["QUEUED", "SENDING"]),
            ),
            # for rungs to give back, and for agents who search for failed messages, however rare
            models.Index(
                "created_at",
                "id",
                name="message_went_wrong",
                condition=Q(state__in=["FAILED", "UNKNOWN", "EXPIRED", "UNDELIVERED"]),
            ),
            models.Index("reference", name="message_of_reference", condition=Q(reference__isnull=False)),
            models.Index("kept_until", name="message_secret_kept", condition=Q(kept_until__isnull=False)),
            models.Index("fallback_for", name="message_in_place_of", condition=Q(fallback_for__isnull=False)),
            # a receipt has the provider's id of its message
            HashIndex("provider_id", name="message_by_provider_id", condition=~Q(provider_id="")),
            models.Index(
                "campaign",
                name="campaign_messages_waiting",
                condition=Q(campaign__isnull=False, state__in=["QUEUED", "SENDING"]),
            ),
            models.Index("created_at", "id", name="message_by_time"),
            models.Index("recipient", "created_at", name="message_by_recipient"),
            # for retention, oldest first, without messages that are blanked already
            models.Index("created_at", name="message_with_recipient", condition=~Q(recipient="")),
            # mensajes_enviados of contract 1
            models.Index(
                "partner",
                Coalesce("sent_at", "handed_over_at"),
                "id",
                name="message_answered",
                condition=Q(kind__in=["boletin", "alerta"], state__in=["SENT", "DELIVERED", "UNDELIVERED", "FAILED"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_via_display()} {self.id}"

    @property
    def log_fields(self) -> dict[str, str]:
        """Its ids for a line of the log: its own, and that of the request that asked for it."""
        own = {"message_id": str(self.id)}
        return {**own, "request_id": self.trace_id.hex} if self.trace_id else own


S = Message.State
TRANSITIONS: dict[str, frozenset[str]] = {
    S.QUEUED: frozenset({S.SENDING, S.EXPIRED, S.CANCELLED}),
    S.SENDING: frozenset({S.QUEUED, S.SENT, S.FAILED, S.UNKNOWN, S.DELIVERED, S.UNDELIVERED, S.EXPIRED, S.CANCELLED}),
    S.SENT: frozenset({S.DELIVERED, S.UNDELIVERED}),
    S.UNKNOWN: frozenset({S.SENT, S.DELIVERED, S.UNDELIVERED}),
    S.DELIVERED: frozenset(),
    S.UNDELIVERED: frozenset({S.DELIVERED}),
    S.FAILED: frozenset(),
    S.EXPIRED: frozenset(),
    S.CANCELLED: frozenset(),
}
"""The diagram of Message as data; `messaging.queue.transitions.move` allows no other change."""


class MessageEvent(models.Model):
    """Append-only: one row for each hand-over to a provider, change of state and receipt.

    A claim alone writes no row, because it is not an attempt.
    """

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField("fecha")
    state = models.CharField("estado", max_length=11, choices=Message.State.choices)
    attempt = models.PositiveSmallIntegerField("intento")
    provider = models.CharField("proveedor", max_length=100, blank=True)
    detail = models.CharField("detalle", max_length=300, blank=True)

    class Meta:
        verbose_name = "evento"
        indexes = [models.Index("message", name="events_by_message")]

    def __str__(self) -> str:
        return f"{self.state} {self.at:%Y-%m-%d %H:%M:%S}"


class ProviderState(models.Model):
    """Circuit of a provider, shared by all workers: open or closed, since when, until when, and why.

    Without a row the circuit is closed. Each worker decides from its own calls when to open it
    (`messaging.delivery.circuit_breaker`).
    """

    name = models.CharField("proveedor", max_length=100, primary_key=True)  # as Gateway.name
    set_aside_at = models.DateTimeField("apartado desde", null=True)
    until = models.DateTimeField("hasta", null=True)  # then one message may try it; null: until staff restore it
    reason = models.CharField("motivo", max_length=300, blank=True)
    by = models.CharField("por", max_length=150, blank=True)  # empty: not by staff
    in_a_row = models.PositiveSmallIntegerField("veces seguidas", default=0)  # the backoff doubles each time
    probe_until = models.DateTimeField(null=True)  # a trial runs; the next one may begin after this

    class Meta:
        verbose_name = "proveedor"
        verbose_name_plural = "proveedores"

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        return self.set_aside_at is not None


class ProviderEvent(models.Model):
    """Append-only: one row for each opening and closing of a provider's circuit, with the reason."""

    class What(models.TextChoices):
        SET_ASIDE = "set_aside", "Apartado"
        RESTORED = "restored", "Restablecido"

    provider = models.CharField("proveedor", max_length=100)
    at = models.DateTimeField("fecha")
    what = models.CharField("qué", max_length=10, choices=What.choices)
    reason = models.CharField("motivo", max_length=300, blank=True)
    by = models.CharField("por", max_length=150, blank=True)

    class Meta:
        verbose_name = "cambio de un proveedor"
        indexes = [models.Index("provider", "at", name="events_of_a_provider")]

    def __str__(self) -> str:
        return f"{self.provider} {self.what} {self.at:%Y-%m-%d %H:%M:%S}"


class ProviderReceipt(models.Model):
    """Delivery receipt: a provider's report on a message that it took. The same report twice is one row.

    A report may come before our record that the provider took the message, or about a message that is not ours. It is
    stored as received and applied when its message is known (`messaging.delivery.receipts`). A report settles one
    message; a report on a later message with the same provider id replaces the row.
    """

    provider = models.CharField(
        "proveedor", max_length=100
    )  # prefix of the gateway's name: twilio, whatsapp-cloud, smpp:host, postmark
    provider_id = models.CharField("id en el proveedor", max_length=200)
    message_id = models.UUIDField(
        null=True
    )  # our id where the provider repeats it, else that of the message it settled
    recipients = ArrayField(models.CharField(max_length=32), default=list, db_default=[])
    """Keyed hashes of the numbers in the report; empty once it has settled a message."""
    state = models.CharField("estado", max_length=11, choices=Message.State.choices)  # DELIVERED or UNDELIVERED
    detail = models.CharField("detalle", max_length=300, blank=True)
    bounce = models.CharField(max_length=12, blank=True, db_default="")
    """Of a mail: HARD_BOUNCE or FAILURE, as in RecipientFeedback; else empty."""
    at = models.DateTimeField("fecha")

    class Meta:
        verbose_name = "acuse"
        constraints = [
            models.UniqueConstraint(name="a_report_counts_once", fields=["provider_id", "provider", "state"]),
            models.CheckConstraint(
                name="a_receipt_says_yes_or_no", condition=Q(state__in=["DELIVERED", "UNDELIVERED"])
            ),
        ]
        indexes = [models.Index("at", name="receipts_by_time")]

    def __str__(self) -> str:
        return f"{self.provider} {self.provider_id} {self.state}"


class RateCount(models.Model):
    """Counter of a rate limit while Redis is unavailable (`clients.rate_limits.postgres_counters`).

    The table is unlogged: a crash empties it.
    """

    key = models.CharField(max_length=40, primary_key=True)  # keyed hash of the caller and the window
    known = models.IntegerField(default=0)  # last count known from Redis
    added = models.IntegerField(default=0)  # counted here, not in Redis yet
    ends_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index("ends_at", name="rate_counts_that_are_over")]

    def __str__(self) -> str:
        return f"{self.known + self.added}"


from messaging.suppression.models import (  # noqa: E402  they refer to the models above
    RecipientFeedback as RecipientFeedback,
)
from messaging.suppression.models import (  # noqa: E402  they refer to the models above
    Suppression as Suppression,
)
