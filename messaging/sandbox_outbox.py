"""Outbox of the sandboxes: what their gateways took, with the code in clear. `messaging.models` imports it."""

from django.db import models
from django.db.models import Q

from clients.models import Partner
from messaging.via import Via


class SandboxMessage(models.Model):
    """A message of a `sandbox://` gateway, for developers (only with SANDBOX=true), or of a test twin, for its partner.

    Of a twin's message the sandbox may report later (`receipt_at`), as providers do.
    """

    message_id = models.UUIDField()
    via = models.CharField(max_length=1, choices=Via.choices)
    to = models.CharField(max_length=254)
    text = models.TextField()
    created = models.DateTimeField()
    twin = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    receipt_at = models.DateTimeField(null=True)  # when the twin's sandbox reports that it arrived; null: it need not

    class Meta:
        indexes = [
            models.Index(fields=["to", "-id"], name="sandbox_by_recipient"),
            models.Index(fields=["twin", "-id"], name="sandbox_of_a_twin", condition=Q(twin__isnull=False)),
            models.Index("receipt_at", name="sandbox_receipts_to_come", condition=Q(receipt_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.via} {self.to}"
