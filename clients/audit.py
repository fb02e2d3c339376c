"""Audit: its entries, and the function that writes one. `clients.models` imports both."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F
from django.utils.timezone import localtime


class AuditEntry(models.Model):
    """Audit entry: who did what to which row, when, from where and why. Append-only: a trigger refuses UPDATE and
    DELETE. It allows one change, the redaction of personal values in `data` (`clients.retention`). In `clients` so that
    every app can write it."""

    at = models.DateTimeField("fecha")
    actor = models.CharField("quién", max_length=150)
    action = models.CharField("qué", max_length=50)
    object_type = models.CharField("objeto", max_length=50)
    object_id = models.CharField("id", max_length=64)
    address = models.GenericIPAddressField("desde", null=True)
    reason = models.CharField("motivo", max_length=500, blank=True)
    data = models.JSONField("datos", default=dict)

    class Meta:
        verbose_name = "entrada de auditoría"
        verbose_name_plural = "auditoría"
        indexes = [
            models.Index("object_type", "object_id", "at", name="audit_of_an_object"),
            models.Index(F("at").desc(), name="audit_newest_first"),
            # for the search and the filters of its page, newest first
            models.Index("actor", F("at").desc(), name="audit_of_an_actor"),
            models.Index("action", F("at").desc(), name="audit_of_an_action"),
            models.Index("object_id", F("at").desc(), name="audit_of_an_id"),
            models.Index("address", F("at").desc(), name="audit_from_an_address"),
        ]

    def __str__(self) -> str:
        return f"{self.actor}, {localtime(self.at):%d/%m/%Y %H:%M:%S}"


def audit(
    row: models.Model, action: str, *, at: datetime, by: str, reason: str = "", address: str | None = None, **data: Any
) -> AuditEntry:
    """Write an audit entry. `data` must hold no secret. Call it in the transaction of the action."""
    return AuditEntry.objects.create(
        at=at,
        actor=by,
        action=action,
        object_type=row._meta.label_lower,
        object_id=str(row.pk),
        address=address,
        reason=reason,
        data=data,
    )
