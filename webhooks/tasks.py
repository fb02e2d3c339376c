"""Periodic tasks of webhooks. The deliveries themselves have a process of their own (webhooks.dispatcher)."""

from celery import shared_task
from django.utils import timezone

from webhooks import pause_mail


@shared_task(name="webhooks.send_pause_mails")
def send_pause_mails() -> None:
    pause_mail.send_due(at=timezone.now())
