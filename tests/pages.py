"""URLs of every page of an installation, with a row behind each. The rows are made inside of a stack."""

import json
import sys
from typing import TypedDict
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.utils import timezone

from clients.email_subscriptions import unsubscribe_token
from clients.models import Applicant, AuthorizedClient, Partner
from external_api.guide.chapters import chapters
from messaging.models import Campaign
from staff import passwords
from subscription.links import confirmation_token, managing_token
from subscription.models import SubscriptionRequest
from support.tests.cast import everything
from support.tests.url_map import real
from testkit.stack import Stack
from tests.factories import AuthorizedClientFactory, CampaignFactory, MessageFactory, SubscriptionRequestFactory

MAILBOX = "ana.quispe@dominio.com"
WITHOUT_ROWS = (
    "/",
    "/no-hay",
    "/admin/login/",
    "/ingreso/olvido/",
    "/ingreso/clave/x/y/",
    "/suscripcion/",
    "/suscripcion/mis-suscripciones/",
    "/suscripcion/confirmar/x/",
    "/suscripcion/mis-suscripciones/x/",
    "/suscripcion/baja/x/",
    "/sandbox/messages",
    "/referencia/guia/",
)
"""Public pages, and those of a link that is none. The reference has a test of its own."""


class Pages(TypedDict):
    """Paths of all URLs for staff, whether a page or not, and of the public pages."""

    staff: list[str]
    public: list[str]


def make(stack: Stack) -> Pages:
    """Make a row for each page of a stack, once."""
    program = "from tests import pages; pages.tell()"
    made: Pages = json.loads(stack.manage("shell", "-v", "0", "-c", program))
    return made


def tell() -> None:
    """Make the rows in the database of this process, and print the paths."""
    everything("Quispe", [1])
    sent = _campaigns(Partner.objects.earliest("pk"))
    json.dump({"staff": _of_staff(sent), "public": [*WITHOUT_ROWS, *_public()]}, sys.stdout)


def _campaigns(partner: Partner) -> Campaign:
    """A campaign in each state in which its page differs. Returns one that was sent, to a client who has subscribed."""
    at = timezone.now()
    states = (Campaign.State.PAUSED, Campaign.State.DONE)
    for state in states:
        campaign: Campaign = CampaignFactory.create(state=state, subject=state.label, scheduled_at=at)
        campaign.partners.add(partner)
    client = AuthorizedClientFactory.create(partner=partner, email=MAILBOX, subscribed_at=at)
    MessageFactory.create(
        sent=True,
        campaign=campaign,
        authorized_client=client,
        partner=partner,
        kind="boletin",
        via="C",
        recipient=MAILBOX,
    )
    return campaign


def _of_staff(sent: Campaign) -> list[str]:
    found = list(real())
    campaigns = [f"/admin/messaging/campaign/{pk}/change/" for pk in Campaign.objects.values_list("pk", flat=True)]
    person = Applicant.objects.earliest("pk")
    more = (
        f"/admin/messaging/campaign/{sent.pk}/copiar/",
        f"/soporte/?q={person.document_number}",
        "/soporte/?q=quispe",
    )
    return list(dict.fromkeys([*found, *campaigns, "/admin/?dias=7", *more]))


def _public() -> list[str]:
    client = AuthorizedClient.objects.get(email=MAILBOX)
    confirm, manage = (
        SubscriptionRequestFactory.create(email=MAILBOX, purpose=purpose)
        for purpose in (SubscriptionRequest.Purpose.CONFIRM, SubscriptionRequest.Purpose.MANAGE)
    )
    user = User.objects.earliest("pk")
    user.set_password("una-clave-larga-de-prueba")
    User.objects.filter(pk=user.pk).update(password=user.password, email="eva@example.com")
    user.refresh_from_db()
    return [
        urlsplit(passwords.link_for(user)).path,
        f"/suscripcion/confirmar/{confirmation_token(confirm.pk)}/",
        f"/suscripcion/mis-suscripciones/{managing_token(manage.pk)}/",
        f"/suscripcion/baja/{unsubscribe_token(client.pk)}/",
        *(f"/referencia/guia/{name}/" for name in list(chapters())[1:]),
    ]
