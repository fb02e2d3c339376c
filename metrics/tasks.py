"""Periodic tasks of metrics."""

from celery import shared_task
from django.utils import timezone

from metrics import folding
from metrics import sweep as sweeper

SLICE_SECONDS = 10.0


@shared_task(name="metrics.sweep")
def sweep() -> None:
    sweeper.sweep(at=timezone.now())


@shared_task(name="metrics.fold")
def fold() -> None:
    folding.fold(at=timezone.now(), seconds=SLICE_SECONDS)
