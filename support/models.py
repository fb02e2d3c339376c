"""Permissions of the desk, which has no table, and the kept counts of usage."""

from django.db import models

from clients.models import Partner


class Desk(models.Model):
    """Permissions without a table."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("use_desk", "Usar la mesa de soporte"),
            ("act_at_desk", "Actuar desde la mesa de soporte"),
            ("unmask_at_desk", "Ver destinos completos en la mesa de soporte"),
            ("export_person", "Exportar los datos de una persona"),
            ("erase_person", "Borrar los datos de una persona"),
        ]
        verbose_name = "mesa de soporte"

    def __str__(self) -> str:
        return "mesa de soporte"


class CountedDay(models.Model):
    """A day of Lima whose messages and codes are counted (`support.usage.counting`)."""

    day = models.DateField(primary_key=True)
    counted_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day}"


class UsageCount(models.Model):
    """Number of messages or codes of a day with the same partner, kind, via, provider and outcome. No personal data."""

    class Source(models.TextChoices):
        MESSAGE = "M", "mensaje"
        CODE = "C", "código"

    day = models.DateField()
    source = models.CharField(max_length=1, choices=Source.choices)
    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    kind = models.CharField(max_length=12)
    via = models.CharField(max_length=1)
    provider = models.CharField(max_length=100, blank=True)  # empty: none took it, or a code
    outcome = models.CharField(max_length=13)  # a message's state, or a code's outcome
    arrived = models.BooleanField()  # a receipt says so, or the code came back
    count = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                name="one_count_per_day_and_group",
                fields=["day", "source", "partner", "kind", "via", "provider", "outcome", "arrived"],
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.outcome} {self.count}"
