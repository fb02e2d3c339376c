"""Code whose message and event hold markup."""

from django.utils import timezone

from messaging.models import Message
from testkit.codes import request_code
from tests.factories import MessageEventFactory
from tokens import services

HOSTILE = '<script>alert("x")</script>{{ 7|add:7 }}{% now "Y" %}'


def ask(applicant, *, phone="987654321", at=None, credential=None):
    """A code for the applicant, the message that carries it and an event of that."""
    at = at or timezone.now()
    origin = services.Origin(applicant.partner, credential)
    token = request_code(applicant.pk, via="S", phone=phone, operator="CLARO", origin=origin, at=at)
    message = Message.objects.get(reference=token.pk)
    MessageEventFactory(message=message, at=at, state="SENT", provider=HOSTILE[:90], detail=HOSTILE)
    return token
