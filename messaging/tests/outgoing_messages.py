"""Message as a gateway gets it."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from messaging.gateways.base import Outgoing

CODE = "A1B2"


def outgoing(**changes):
    fields = {
        "id": UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6"),
        "kind": "verificacion",
        "via": "S",
        "recipient": "987654321",
        "subject": "",
        "text": "Aval: tu clave es ••••.",
        "html": "",
        "send_before": timezone.now() + timedelta(seconds=100),
    }
    return Outgoing(**{**fields, **changes})
