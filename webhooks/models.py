"""Endpoints of partners and deliveries to them."""

from datetime import datetime, timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from clients.events.models import EventType, TransactionIdField
from clients.models import Partner
from clients.uuid7 import uuid7


class Endpoint(models.Model):
    """URL of a partner that gets its events, and how far it has got: a cursor on the feed that we move.

    ACTIVE -> PAUSED      the partner or staff paused it, or nothing arrived for PAUSE_AFTER
    ACTIVE -> ENDED       the receiver answered 410
    PAUSED, ENDED -> ACTIVE   the partner or staff; it goes on where it stopped

    While it is not active its cursor and its open deliveries stand still.
    """

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", "Activo"
        PAUSED = "PAUSED", "En pausa"
        ENDED = "ENDED", "Terminado por el receptor"

    MOST = 10
    """Endpoints of a partner."""
    MOST_OPEN = 1000
    """Open deliveries of an endpoint; at that number its cursor stands."""
    MOST_CONCURRENT = 4
    """Tries of an endpoint at the same time."""
    PAUSE_AFTER = timedelta(days=5)
    """Time with failures and without a success after which it is paused."""
    OVERLAP = timedelta(hours=24)
    """Time for which a former secret signs along."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    partner = models.ForeignKey(
        Partner, on_delete=models.CASCADE, related_name="+", db_index=False, verbose_name="empresa"
    )
    url = models.CharField("URL", max_length=500, help_text="https://…, un servidor de internet.")
    description = models.CharField("descripción", max_length=200, blank=True)
    email = models.EmailField("correo para avisos", blank=True, help_text="Recibe un aviso si el webhook se pausa.")
    types = ArrayField(
        models.CharField(max_length=40, choices=EventType.choices),
        null=True,
        blank=True,
        verbose_name="tipos de evento",
        help_text="Vacío: todos.",
    )
    status = models.CharField("estado", max_length=10, choices=Status.choices, default=Status.ACTIVE)
    secret = models.CharField(max_length=200, editable=False)  # sealed, as is the former one
    former_secret = models.CharField(max_length=200, blank=True, editable=False)
    former_secret_until = models.DateTimeField("el secreto anterior firma hasta", null=True, editable=False)
    epoch = models.CharField(max_length=16, editable=False)
    cursor_xid = TransactionIdField(editable=False)
    cursor_event_id = models.BigIntegerField(editable=False)
    created_at = models.DateTimeField("creado", editable=False)
    last_success_at = models.DateTimeField("último éxito", null=True, editable=False)
    failing_since = models.DateTimeField("falla desde", null=True, editable=False)
    stopped_at = models.DateTimeField("detenido", null=True, editable=False)
    resumed_from = models.DateTimeField("retomado desde", null=True, editable=False)
    mail_due = models.BooleanField(default=False, editable=False)  # of a pause, not sent yet

    class Meta:
        verbose_name = "webhook"
        ordering = ["-created_at"]
        indexes = [
            models.Index("partner", "id", name="endpoints_of_a_partner"),
            models.Index("stopped_at", name="endpoints_with_a_mail_due", condition=Q(mail_due=True)),
        ]
        constraints = [
            models.CheckConstraint(
                name="an_endpoint_that_is_not_active_has_stopped",
                condition=Q(status="ACTIVE", stopped_at__isnull=True)
                | ~Q(status="ACTIVE") & Q(stopped_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.url

    def is_overlapping(self, *, at: datetime) -> bool:
        """Whether the former secret still signs along."""
        return bool(self.former_secret) and self.former_secret_until is not None and at < self.former_secret_until


class Delivery(models.Model):
    """One event on its way to one endpoint, with a schedule of its own; without an event it is a test.

    PENDING -> DELIVERED   the receiver answered 2xx
    PENDING -> FAILED      the last try failed, or the event was removed meanwhile
    DELIVERED, FAILED -> PENDING   it is sent again
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Pendiente"
        DELIVERED = "DELIVERED", "Entregado"
        FAILED = "FAILED", "Fallido"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False, verbose_name="webhook"
    )
    event_id = models.BigIntegerField("evento", null=True)  # no foreign key: retention removes events by itself
    type = models.CharField("tipo", max_length=40)
    status = models.CharField("estado", max_length=10, choices=Status.choices, default=Status.PENDING)
    tries = models.PositiveSmallIntegerField("intentos", default=0)
    next_try_at = models.DateTimeField("siguiente intento")
    claimed_until = models.DateTimeField(null=True, editable=False)
    last_try_at = models.DateTimeField("último intento", null=True)
    last_status = models.PositiveSmallIntegerField("última respuesta", null=True)
    last_error = models.CharField("último error", max_length=200, blank=True)
    created_at = models.DateTimeField("creada")
    finished_at = models.DateTimeField("terminada", null=True)

    class Meta:
        verbose_name = "entrega"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="an_event_is_delivered_to_an_endpoint_once", fields=["endpoint", "event_id"])
        ]
        indexes = [
            models.Index(
                "endpoint", "next_try_at", name="open_deliveries_of_an_endpoint", condition=Q(status="PENDING")
            ),
            models.Index("endpoint", "id", name="deliveries_of_an_endpoint"),
            models.Index("created_at", name="deliveries_by_time"),
            models.Index("id", name="failed_deliveries", condition=Q(status="FAILED")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.get_status_display().lower()}"
