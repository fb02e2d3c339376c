"""Managers of the models of people."""

from typing import Any

from django.db import models


class NotErasedManager(models.Manager[Any]):
    """Rows of people who were not erased. A blanked row stays for foreign keys and statistics but is in no search, list
    or answer (`clients.retention`, which alone uses `all_objects`)."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(forgotten_at__isnull=True)
