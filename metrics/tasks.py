"""Periodic tasks of metrics."""

from celery import shared_task
from django.utils import timezone

from metrics import alarm_webhook, folding, service_levels
from metrics import sweep as sweeper

SLICE_SECONDS = 10.0


@shared_task(name="metrics.sweep")
def sweep() -> None:
    sweeper.sweep(at=timezone.now())


@shared_task(name="metrics.keep_days")
def keep_days() -> None:
    service_levels.keep(at=timezone.now())


@shared_task(name="metrics.evaluate_alarms")
def evaluate_alarms() -> None:
    alarm_webhook.evaluate(at=timezone.now())


@shared_task(name="metrics.fold")
def fold() -> None:
    folding.fold(at=timezone.now(), seconds=SLICE_SECONDS)
