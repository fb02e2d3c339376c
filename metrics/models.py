"""Counts by minute, their totals, how far the rows of other apps have been counted, and the service levels of each day.

Nothing in them is about a person: labels have values of closed lists (`metrics.catalog`).
"""

from django.db import models
from django.db.models import Q


class MetricMinute(models.Model):
    """What was counted in a minute with the same labels. Append-only: several rows of a minute add up.

    A row is folded into its hour after six hours (`metrics.folding`) and removed after 90 days (`metrics.retention`);
    MetricTotal keeps what it counted.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()  # the beginning of the minute, or of the hour
    metric = models.CharField(max_length=60)
    labels = models.JSONField()
    count = models.BigIntegerField()
    sum = models.FloatField()  # seconds, of a histogram; else 0
    is_hour = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index("at", name="minutes_by_time"),
            models.Index("at", name="minutes_to_fold", condition=Q(is_hour=False)),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.at:%Y-%m-%d %H:%M}"


class MetricTotal(models.Model):
    """Sum of all that was ever counted with these labels. It is what a scrape shows, and never falls."""

    id = models.BigAutoField(primary_key=True)
    metric = models.CharField(max_length=60)
    labels = models.JSONField()
    count = models.BigIntegerField()
    sum = models.FloatField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(name="one_total_per_metric_and_labels", fields=["metric", "labels"])]

    def __str__(self) -> str:
        return self.metric


class Mark(models.Model):
    """How far a source of counts has been read: one row a source.

    `position`: the highest id that was read. `missing`: ids below it that were not visible yet (`metrics.positions`).
    `until`: for a source by time, rows before it are counted. `origin`: the table that the position belongs to; after a
    restore it is another one.
    """

    name = models.CharField(max_length=40, primary_key=True)
    origin = models.CharField(max_length=60, default="")
    position = models.BigIntegerField(default=0)
    until = models.DateTimeField(null=True)
    missing = models.JSONField(default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class ServiceDay(models.Model):
    """Service levels of a day of Lima: their objectives are in `metrics.service_levels`."""

    day = models.DateField(primary_key=True)
    codes = models.PositiveIntegerField()  # handed over, or ended without
    within_2s = models.PositiveIntegerField()
    within_10s = models.PositiveIntegerField()
    calls = models.PositiveIntegerField()
    faults = models.PositiveIntegerField()  # answered 5xx
    mails = models.PositiveIntegerField()
    bounces = models.PositiveIntegerField()
    complaints = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day}"


class AlarmState(models.Model):
    """State of an alarm for `ALARM_URL` (`metrics.alarm_states.State`)."""

    name = models.CharField(max_length=60, primary_key=True)
    true_since = models.DateTimeField(null=True)  # its condition holds
    is_firing = models.BooleanField(default=False)  # for as long as the alarm asks for
    since = models.DateTimeField(null=True)  # it fires, or fired last
    told = models.CharField(max_length=10, blank=True)  # what ALARM_URL has taken last
    told_at = models.DateTimeField(null=True)
    try_after = models.DateTimeField(null=True)  # a message is being sent, or was not taken

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class TaskRun(models.Model):
    """When a periodic task last did all of its work."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S}"
