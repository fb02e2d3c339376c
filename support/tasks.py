"""Tasks of the night and of each hour, in short pieces: codes need one of the two threads of periodic tasks."""

from celery import shared_task
from django.utils import timezone

from clients.events import expiring_keys, watch
from support.privacy import retention
from support.usage import counting

SLICE_SECONDS = 10.0
"""Seconds of a piece. One a minute for five hours is fifty minutes a night."""


@shared_task(name="support.forget")
def forget() -> None:
    retention.run(at=timezone.now(), seconds=SLICE_SECONDS)


@shared_task(name="support.count_usage")
def count_usage() -> None:
    counting.keep_due(at=timezone.now(), seconds=SLICE_SECONDS)


@shared_task(name="support.forget_erased")
def forget_erased() -> None:
    retention.run(at=timezone.now(), seconds=SLICE_SECONDS, kinds=retention.OF_THE_ERASED)


@shared_task(name="support.watch_events")
def watch_events() -> None:
    watch.check(at=timezone.now())


@shared_task(name="support.announce_expiring_keys")
def announce_expiring_keys() -> None:
    expiring_keys.announce(at=timezone.now())
