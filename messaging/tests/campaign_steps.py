"""Campaigns and their clients, and the steps of sending one."""

from django.utils import timezone

from conftest import NOW
from messaging.campaigns import lifecycle
from messaging.delivery import bulk
from tests.factories import AuthorizedClientFactory, CampaignFactory


def subscriber(partner, email, **changes):
    fields = {"request_id": 7, "created_at": NOW, "subscribed_at": NOW}
    return AuthorizedClientFactory(partner=partner, email=email, **{**fields, **changes})


def campaign(**changes):
    fields = {"text": "Hola.\n•••• no es un código.", "is_advertising": False, "created_at": NOW}
    return CampaignFactory(**{**fields, **changes})


def launch(one):
    now = timezone.now()
    reach = lifecycle.schedule(one, begins=now, by="ana", at=now)
    lifecycle.run(at=now)
    return reach


def send_all():
    while bulk.deliver_due():
        pass
