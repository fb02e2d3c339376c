"""Banner of the desk while a provider is set aside."""

import pytest
from django.utils import timezone

from messaging.gateways import gateways_for
from messaging.models import ProviderState
from tests.factories import StaffUserFactory, browser, staff_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(db):
    return staff_browser(roles=("Soporte",))


def set_aside(name, **more):
    ProviderState.objects.create(name=name, set_aside_at=timezone.now(), reason="<b>falla</b>", **more)


@pytest.mark.parametrize("path", ["/soporte/", "/soporte/?q=nadie", "/soporte/mensajes/"])
def test_agents_see_which_via_is_in_trouble(agent, path):
    assert "apartado" not in agent.get(path).content.decode()
    [sms] = {each.name for each in gateways_for("S")}
    set_aside(sms)
    page = agent.get(path).content.decode()
    assert f"SMS, WhatsApp, Llamada (IVR), Correo: {sms} apartado desde el " in page
    assert "no hay otro proveedor" in page


def test_a_via_with_another_provider_names_it(agent, settings):
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": ("smtp://uno:25/", "smtp://dos:25/")}
    first, second = gateways_for("C")
    set_aside(first.name)
    page = agent.get("/soporte/").content.decode()
    assert f"Correo: {first.name} apartado" in page
    assert f"sale por {second.name}" in page


def test_a_provider_of_no_via_and_one_that_is_back_are_no_outage(agent):
    set_aside("de-antes")
    ProviderState.objects.create(name=gateways_for("S")[0].name, set_aside_at=None)
    assert "apartado" not in agent.get("/soporte/").content.decode()


def test_who_may_not_use_the_desk_is_told_nothing(db):
    set_aside(gateways_for("S")[0].name)
    http = browser(StaffUserFactory(username="leo"))
    answer = http.get("/soporte/")
    assert (answer.status_code, "apartado" in answer.content.decode()) == (403, False)
