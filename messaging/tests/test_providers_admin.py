"""Providers in the admin: staff with the permission open and close circuits, with a reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import AuditEntry
from messaging.delivery import failover
from messaging.models import ProviderEvent, ProviderState
from tests.factories import staff_browser

pytestmark = pytest.mark.django_db
LIST = "/admin/messaging/providerstate/"


@pytest.fixture
def known():
    failover.register(["sandbox", "twilio:S:+1202"])


def staff(*codenames):
    return staff_browser("view_providerstate", *codenames, name="ana")


def act(http, action, *, reason=None):
    form = {"action": action, "_selected_action": ["twilio:S:+1202"]}
    if reason is not None:
        form |= {"confirmed": "yes", "reason": reason}
    return http.post(LIST, form, follow=True)


def test_out_and_back_with_a_reason(known):
    http = staff("change_providerstate")
    page = act(http, "take_out").content.decode()
    assert "Motivo" in page
    assert "twilio:S:+1202" in page
    assert act(http, "take_out", reason="").status_code == 200
    assert not ProviderState.objects.filter(set_aside_at__isnull=False).exists()
    assert "Apartar: 1 de 1." in act(http, "take_out", reason="factura <b>").content.decode()
    state = ProviderState.objects.get(name="twilio:S:+1202")
    assert (state.until, state.by, state.reason) == (None, "ana", "factura <b>")
    page = http.get(LIST).content.decode()
    assert "que alguien lo restablezca" in page
    assert "factura &lt;b&gt;" in page
    assert "Restablecer: 1 de 1." in act(http, "put_back", reason="pagada").content.decode()
    assert [each.action for each in AuditEntry.objects.order_by("id")] == ["provider.set_aside", "provider.restored"]
    assert {each.address for each in AuditEntry.objects.all()} == {"192.0.2.7"}
    assert ProviderEvent.objects.count() == 2
    page = http.get(f"{LIST}twilio_3AS_3A_2B1202/change/").content.decode()
    assert "Restablecido" in page
    assert "En servicio" in page


def test_who_may_only_look_only_looks(known):
    http = staff()
    assert "En servicio" in http.get(LIST).content.decode()
    act(http, "take_out", reason="no")
    assert not ProviderState.objects.filter(set_aside_at__isnull=False).exists()


def test_a_provider_that_is_restored_automatically_shows_the_time(known):
    failover.open_circuit("sandbox", "3 fallas seguidas", at=timezone.now())
    failover.report_result("sandbox", failed=False, at=timezone.now())
    page = staff().get(f"{LIST}sandbox/change/").content.decode()
    assert "3 fallas seguidas" in page
    assert "volvió a responder" in page
    assert "el sistema" in page


def test_introducing_twice_changes_nothing(known):
    failover.open_circuit("sandbox", "x", at=timezone.now())
    failover.register(["sandbox"])
    assert ProviderState.objects.get(name="sandbox").is_open


def test_a_provider_whose_time_is_past_waits_for_the_next_message(known):
    at = timezone.now()
    ProviderState.objects.filter(name="sandbox").update(set_aside_at=at, until=at - timedelta(seconds=1))
    html = staff().get(LIST).content.decode()
    assert "se probará con el próximo mensaje" in html
