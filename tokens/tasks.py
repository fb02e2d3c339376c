from celery import shared_task
from django.utils import timezone

from tokens import sweeper


@shared_task(name="tokens.sweep")
def sweep() -> None:
    sweeper.sweep(at=timezone.now())
