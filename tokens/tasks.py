from celery import shared_task
from django.utils import timezone

from tokens import settling


@shared_task(name="tokens.sweep")
def sweep() -> None:
    settling.sweep(at=timezone.now())
