"""What beat does at night. The pieces are short: two threads serve all periodic tasks, and codes need the other one."""

from celery import shared_task
from django.utils import timezone

from support.privacy import retention

PIECE = 10.0
"""Seconds. One a minute for five hours is fifty minutes a night."""


@shared_task(name="support.forget")
def forget() -> None:
    retention.run(at=timezone.now(), seconds=PIECE)


@shared_task(name="support.forget_erased")
def forget_erased() -> None:
    retention.run(at=timezone.now(), seconds=PIECE, kinds=retention.OF_THE_ERASED)
