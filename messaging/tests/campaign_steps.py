"""Campaigns and their clients, and the steps of sending one."""

from django.utils import timezone

from clients.models import AuthorizedClient
from conftest import NOW
from messaging.campaigns import lifecycle
from messaging.delivery import bulk
from messaging.models import Campaign


def subscriber(partner, email, **changes):
    fields = {"external_code": "C", "profile": "VIP", "request_id": 7, "created_at": NOW, "subscribed_at": NOW}
    return AuthorizedClient.objects.create(partner=partner, email=email, **{**fields, **changes})


def campaign(**changes):
    fields = {
        "type": "boletin",
        "subject": "Novedades",
        "text": "Hola.\n•••• no es un código.",
        "is_advertising": False,
        "created_by": "ana",
        "created_at": NOW,
    }
    return Campaign.objects.create(**{**fields, **changes})


def launch(one):
    now = timezone.now()
    reach = lifecycle.schedule(one, begins=now, by="ana", at=now)
    lifecycle.run(at=now)
    return reach


def send_all():
    while bulk.deliver_due():
        pass
