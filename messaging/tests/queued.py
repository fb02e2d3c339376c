"""Messages in the queue, as a request for a code puts them there."""

import uuid
from datetime import timedelta

from django.utils import timezone

from messaging.queue import outbox


def queue(**changes):
    now = timezone.now()
    fields = {
        "kind": "verificacion",
        "via": "S",
        "recipient": "987654321",
        "subject": "",
        "text": "clave ••••",
        "secret": "A1B2",
        "reference": uuid.uuid4(),
        "send_before": now + timedelta(minutes=2),
        "at": now,
    }
    return outbox.enqueue(**{**fields, **changes})
