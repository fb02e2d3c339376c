"""Doorbells. The row, not the broker, knows what is due."""

from celery import shared_task
from django.utils import timezone

from messaging import bulk, campaigns, crew, doorbell, sweeping


@shared_task(name="messaging.deliver_codes")
def deliver_codes() -> None:
    doorbell.answered("codes")
    crew.deliver_due()


@shared_task(name="messaging.deliver_bulk")
def deliver_bulk() -> None:
    doorbell.answered("bulk")
    bulk.deliver_due()


@shared_task(name="messaging.run_campaigns")
def run_campaigns() -> None:
    campaigns.run(at=timezone.now())


@shared_task(name="messaging.sweep")
def sweep() -> None:
    sweeping.sweep(at=timezone.now())
