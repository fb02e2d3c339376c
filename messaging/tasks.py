"""Celery tasks: wake-ups of workers, and sweeps. They carry no data; due messages are found in the database."""

from celery import shared_task
from django.utils import timezone

from messaging import staff_mail
from messaging.campaigns import lifecycle
from messaging.delivery import bulk, sweeper, thread_pool
from messaging.queue import wakeup


@shared_task(name="messaging.deliver_codes")
def deliver_codes() -> None:
    thread_pool.deliver_and_linger()


@shared_task(name="messaging.deliver_bulk")
def deliver_bulk() -> None:
    wakeup.acknowledge("bulk")
    bulk.deliver_due()


@shared_task(name="messaging.run_campaigns")
def run_campaigns() -> None:
    lifecycle.run(at=timezone.now())


@shared_task(name="messaging.send_reset_links")
def send_reset_links() -> None:
    staff_mail.send_reset_links(at=timezone.now())


@shared_task(name="messaging.sweep")
def sweep() -> None:
    sweeper.sweep(at=timezone.now())
