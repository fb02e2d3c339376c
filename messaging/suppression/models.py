"""Models of the suppression list and of what recipients and their servers answered to our mails."""

from django.db import models
from django.db.models import Q

from clients.models import Partner


class Suppression(models.Model):
    """A mailbox that gets no more mail: why, of which company, on what evidence, and when it was lifted.

    | reason      | stops                                     | lifted by                                           |
    |-------------|-------------------------------------------|-----------------------------------------------------|
    | HARD_BOUNCE | bulletins, alerts; codes for 30 days      | a code or a confirmation link that arrived; staff   |
    | COMPLAINT   | bulletins, alerts                         | a confirmation link used after it; staff            |
    | MANUAL      | bulletins, alerts                         | staff                                               |

    Confirmation mails are stopped by none: they have limits of their own (docs/adr/0086).
    """

    class Reason(models.TextChoices):
        HARD_BOUNCE = "HARD_BOUNCE", "Rebote"  # the mailbox does not exist or takes no mail
        COMPLAINT = "COMPLAINT", "Queja"  # its owner reported a mail as spam
        MANUAL = "MANUAL", "Por el personal"

    mailbox = models.CharField("correo", max_length=254, blank=True)  # canonical, as in AuthorizedClient; empty: erased
    mailbox_key = models.CharField(max_length=64, blank=True, editable=False)
    """Keyed hash of the mailbox of an erased person, so that it is recognised if it comes back; else empty."""
    partner = models.ForeignKey(
        Partner,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name="empresa",
        help_text="Ninguna: todas.",
    )
    reason = models.CharField("motivo", max_length=11, choices=Reason.choices)
    evidence = models.CharField("prueba", max_length=500, blank=True)  # the server's words, or the staff member's
    message = models.ForeignKey(
        "messaging.Message",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name="mensaje",
    )
    created_at = models.DateTimeField("desde")
    last_at = models.DateTimeField("última vez")  # of the latest bounce or complaint
    created_by = models.CharField("por", max_length=150, blank=True)  # empty: not by staff
    lifted_at = models.DateTimeField("levantada el", null=True, blank=True)
    lifted_by = models.CharField("levantada por", max_length=150, blank=True)  # empty: not by staff
    lifted_because = models.CharField("por qué se levantó", max_length=500, blank=True)

    class Meta:
        verbose_name = "buzón sin envío"
        verbose_name_plural = "buzones sin envío"
        constraints = [
            models.UniqueConstraint(
                name="one_suppression_per_mailbox_reason_and_partner",
                fields=["mailbox", "reason", "partner"],
                condition=Q(lifted_at__isnull=True) & ~Q(mailbox=""),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="a_suppression_has_a_mailbox_or_its_key", condition=~Q(mailbox="") | ~Q(mailbox_key="")
            ),
        ]
        indexes = [
            models.Index("mailbox", "created_at", name="suppressions_of_a_mailbox"),
            models.Index("mailbox_key", name="suppressions_of_the_erased", condition=~Q(mailbox_key="")),
            models.Index("created_at", "id", name="suppressions_by_time"),
            models.Index("lifted_at", name="suppressions_lifted", condition=Q(lifted_at__isnull=False)),
            # for PostgreSQL itself, when a twin's messages are deleted
            models.Index("message", name="suppressions_by_message", condition=Q(message__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.mailbox or 'datos borrados'}"

    @property
    def is_live(self) -> bool:
        return self.lifted_at is None


class RecipientFeedback(models.Model):
    """What came back for one mail: a bounce, a complaint, an unsubscription. One row for each kind.

    Bounces decide about suppression, and all of them are counted for each campaign.
    """

    class Kind(models.TextChoices):
        HARD_BOUNCE = "HARD_BOUNCE", "Rebote"  # the mailbox does not exist or takes no mail: suppressed at once
        FAILURE = "FAILURE", "Rechazo definitivo"  # any other permanent refusal of the recipient: at the third
        COMPLAINT = "COMPLAINT", "Queja"
        UNSUBSCRIBED = "UNSUBSCRIBED", "Baja"

    message = models.ForeignKey(
        "messaging.Message", on_delete=models.PROTECT, related_name="+", db_index=False, verbose_name="mensaje"
    )
    campaign = models.ForeignKey(
        "messaging.Campaign", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    mailbox = models.CharField("correo", max_length=254, blank=True)  # empty: erased
    kind = models.CharField("qué", max_length=12, choices=Kind.choices)
    detail = models.CharField("detalle", max_length=300, blank=True)
    at = models.DateTimeField("fecha")

    class Meta:
        verbose_name = "respuesta a un correo"
        verbose_name_plural = "respuestas a correos"
        constraints = [models.UniqueConstraint(name="one_feedback_per_message_and_kind", fields=["message", "kind"])]
        indexes = [
            models.Index("campaign", "kind", name="feedback_of_a_campaign", condition=Q(campaign__isnull=False)),
            models.Index("mailbox", "at", name="feedback_of_a_mailbox", condition=~Q(mailbox="")),
            models.Index("at", name="feedback_with_mailbox", condition=~Q(mailbox="")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M:%S}"
