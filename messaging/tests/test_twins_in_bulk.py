"""Campaigns do not reach the clients of a test twin, and no gateway would send them a bulletin."""

import pytest
from django.utils import timezone

from clients import twins
from clients.models import Partner
from conftest import NOW
from messaging.admin.campaigns import CampaignAdmin
from messaging.campaigns import lifecycle, profiles
from messaging.delivery import bulk
from messaging.gateways.base import Receipt
from messaging.models import Campaign, Message, SandboxMessage
from messaging.tests.campaign_steps import campaign, launch, subscriber
from messaging.twins import routing
from tests.factories import PartnerFactory
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db


@pytest.fixture
def live():
    return PartnerFactory(name="Uno")


@pytest.fixture
def twin(live):
    return twins.twin_of(live, at=NOW, by="eva")


def test_a_campaign_reaches_no_client_of_a_twin(live, twin):
    subscriber(live, "si@dominio.com")
    subscriber(twin, "no@dominio.com", profile="PRUEBA")
    assert launch(campaign()) == 1
    assert Message.objects.get().recipient == "si@dominio.com"
    only = campaign()
    only.partners.add(twin)
    assert lifecycle.count_audience(only) == 0


def test_its_profiles_and_its_name_are_not_offered(live, twin):
    subscriber(live, "si@dominio.com")
    subscriber(twin, "no@dominio.com", profile="PRUEBA")
    assert profiles.existing() == [("VIP", 1)]
    assert profiles.unknown(["PRUEBA", "VIP"]) == ["PRUEBA"]
    page = CampaignAdmin(Campaign, None)
    field = page.formfield_for_manytomany(Campaign._meta.get_field("partners"), None)
    assert list(field.queryset) == list(Partner.objects.filter(pk=live.pk))


@pytest.mark.parametrize("first", ["live", "twin"])
def test_a_bulletin_of_a_twin_would_stay_in_its_sandbox(live, twin, monkeypatch, first):
    """There is none: a row that should not be, beside one of a live partner in the same claim."""
    gateway = FakeGateway("postmark", *[Receipt("ref", "ok")] * 2)
    monkeypatch.setattr(routing, "gateways_for", lambda via: [gateway])
    subscriber(live, "si@dominio.com")
    one = campaign()
    launch(one)
    wrong = subscriber(twin, "no@dominio.com")
    now = timezone.now()
    whom = {"partner": twin, "authorized_client": wrong, "recipient": "no@dominio.com"}
    Message.objects.create(**whom, campaign=one, kind="alerta", via="C", created_at=now, next_attempt_at=now)
    if first == "twin":
        Message.objects.filter(partner=live).update(kind="boletin")
    bulk.deliver_due()
    assert [message.recipient for message in gateway.messages] == ["si@dominio.com"]
    assert [each.to for each in SandboxMessage.objects.filter(twin=twin)] == ["no@dominio.com"]
