"""Subscription requests, and the evidence of every consent and withdrawal."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q

from clients.models import AuthorizedClient

LINK_LIFETIME = timedelta(hours=24)
"""Long enough for a person who reads mail once a day; 24 h to the microsecond is still in time."""


class SubscriptionRequest(models.Model):
    """A link sent to a mailbox, to confirm or to see its subscriptions. Its token is signed, and stored nowhere."""

    class Purpose(models.TextChoices):
        CONFIRM = "confirm", "Confirmar"  # subscribes, once
        MANAGE = "manage", "Ver y dejar"  # shows the subscriptions, until it expires

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField("para", max_length=7, choices=Purpose.choices, default="confirm", db_default="confirm")
    email = models.CharField("correo", max_length=254)  # canonical, as in AuthorizedClient; empty: erased
    requested_at = models.DateTimeField("pedido el")
    expires_at = models.DateTimeField("vence")
    used_at = models.DateTimeField("usado el", null=True, blank=True)
    address = models.GenericIPAddressField("desde", null=True)  # null: erased; the consent has its own

    class Meta:
        verbose_name = "pedido de suscripción"
        verbose_name_plural = "pedidos de suscripción"
        constraints = [
            models.CheckConstraint(
                name="a_link_expires_after_its_request", condition=Q(expires_at__gt=F("requested_at"))
            )
        ]
        indexes = [
            models.Index("email", F("requested_at").desc(), name="links_of_a_mailbox"),
            models.Index(F("requested_at").desc(), name="links_newest_first"),
            models.Index("requested_at", name="links_with_mailbox", condition=~Q(email="")),
        ]

    def __str__(self) -> str:
        return f"{self.email} {self.requested_at:%Y-%m-%d %H:%M}"

    def is_open(self, *, at: datetime) -> bool:
        return self.used_at is None and at <= self.expires_at


class ConsentRecord(models.Model):
    """Evidence of a consent or withdrawal: person, partner, time, address and the text they read. Append-only, by a
    trigger, which lets evidence go at the end of its retention period (`subscription.retention`).

    Address and text are copied: evidence must not depend on rows that change.
    """

    class Act(models.TextChoices):
        GIVEN = "given", "Aceptó"
        WITHDRAWN = "withdrawn", "Retiró"

    class How(models.TextChoices):
        LINK = "link", "Enlace de confirmación"  # proved the mailbox, read the text, pressed the button
        PAGE = "page", "Página de baja"  # pressed the button of the unsubscribe page
        ONE_CLICK = "one_click", "Un clic en el correo"  # the mail program's own button (RFC 8058): no text was shown

    authorized_client = models.ForeignKey(
        AuthorizedClient, on_delete=models.PROTECT, related_name="consents", verbose_name="cliente"
    )
    request = models.ForeignKey(
        SubscriptionRequest, on_delete=models.PROTECT, null=True, related_name="consents", verbose_name="enlace"
    )
    email = models.CharField("correo", max_length=254)
    act = models.CharField("qué", max_length=9, choices=Act.choices)
    how = models.CharField("cómo", max_length=9, choices=How.choices)
    text_version = models.CharField("versión del texto", max_length=20, blank=True)
    text = models.TextField("texto leído", blank=True)
    at = models.DateTimeField("fecha")
    address = models.GenericIPAddressField("desde")

    class Meta:
        verbose_name = "consentimiento"
        constraints = [
            models.CheckConstraint(
                name="a_consent_is_given_by_a_link_and_with_a_text",
                condition=Q(act="withdrawn", how__in=["page", "one_click"])
                | (Q(act="given", how="link", request__isnull=False) & ~Q(text="") & ~Q(text_version="")),
            )
        ]
        indexes = [
            models.Index("email", F("at").desc(), name="consents_of_a_mailbox"),
            models.Index(F("at").desc(), F("id").desc(), name="consents_newest_first"),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.email} {self.at:%Y-%m-%d %H:%M}"
