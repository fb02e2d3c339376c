"""Endpoints as staff has them, and the mail of a pause."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from clients.models import AuditEntry
from messaging import unqueued_mail
from tests.factories import (
    AuthorizedClientFactory,
    DeliveryFactory,
    EndpointFactory,
    PartnerFactory,
    staff_browser,
    superuser_browser,
)
from webhooks import pause_mail, signing
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

URL = "https://hooks.empresa.example.com/aval"

# --- the mail of a pause ----------------------------------------------------------------------------------------------


@pytest.fixture
def by_smtp(settings, monkeypatch):
    """Mails go to Django's outbox of tests."""
    from messaging.gateways.base import Receipt

    class Gateway:
        name = "local"
        own_process = False

        def send(self, message, secret):
            mail.outbox.append(message)
            return Receipt("1", "ok")

    monkeypatch.setattr(unqueued_mail, "gateways_for", lambda via: [Gateway()])
    return mail.outbox


def test_a_pause_is_told_by_mail_once(by_smtp):
    partner = PartnerFactory(name="Financiera <Andina>")
    endpoint = EndpointFactory(
        partner=partner, email="ops@empresa.pe", status="PAUSED", stopped_at=timezone.now(), mail_due=True
    )
    assert pause_mail.send_due(at=timezone.now()) == 1
    assert pause_mail.send_due(at=timezone.now()) == 0
    (message,) = by_smtp
    assert (message.recipient, message.subject) == ("ops@empresa.pe", "Su webhook está en pausa")
    assert endpoint.url in message.text
    assert "Financiera <Andina>" in message.text
    assert "Financiera &lt;Andina&gt;" in message.html


def test_a_mail_that_nobody_takes_is_tried_again_for_a_day(monkeypatch, caplog):
    monkeypatch.setattr(unqueued_mail, "gateways_for", lambda via: [])
    now = timezone.now()
    EndpointFactory(email="ops@empresa.pe", status="PAUSED", stopped_at=now, mail_due=True)
    assert pause_mail.send_due(at=now + timedelta(hours=23)) == 0
    assert Endpoint.objects.get().mail_due
    assert pause_mail.send_due(at=now + timedelta(hours=25)) == 0
    assert not Endpoint.objects.get().mail_due
    assert "not taken for a day" in caplog.text


# --- the admin --------------------------------------------------------------------------------------------------------


def form(partner, **fields):
    return {"partner": partner.pk, "url": URL, "description": "", "email": "", "types": [], **fields}


def test_staff_make_one_and_see_its_secret_once():
    http, partner = superuser_browser(), PartnerFactory()
    answer = http.post(reverse("admin:webhooks_endpoint_add"), form(partner, types=["verification.sent"]))
    endpoint = Endpoint.objects.get()
    assert signing.unsealed(endpoint.secret, owner=endpoint.pk) in answer.content.decode()
    assert (endpoint.partner, endpoint.types) == (partner, ["verification.sent"])
    again = http.post(reverse("admin:webhooks_endpoint_add"), form(partner))
    assert "ya tiene un webhook con esta URL" in again.content.decode()
    assert Endpoint.objects.count() == 1
    entry = AuditEntry.objects.get(action="webhook.created")
    assert entry.actor == "ana"


def test_staff_change_one_but_not_whose_it_is():
    http, endpoint = superuser_browser(), EndpointFactory()
    page = reverse("admin:webhooks_endpoint_change", args=[endpoint.pk])
    assert (
        http.post(page, form(PartnerFactory(), url="https://otro.example.com/", email="x@empresa.pe")).status_code
        == 302
    )
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.email) == ("https://otro.example.com/", "x@empresa.pe")
    assert endpoint.partner != PartnerFactory()
    assert "no de una red interna" in http.post(page, form(endpoint.partner, url="https://10.0.0.1/")).content.decode()
    assert AuditEntry.objects.filter(action="webhook.changed").count() == 1


def test_a_secret_is_changed_once_by_one_form():
    http, endpoint = superuser_browser(), EndpointFactory()
    page = reverse("admin:webhooks_endpoint_rotate", args=[endpoint.pk])
    ticket = http.get(page).context["ticket"]
    answer = http.post(page, {"ticket": ticket})
    endpoint.refresh_from_db()
    secret = signing.unsealed(endpoint.secret, owner=endpoint.pk)
    assert secret in answer.content.decode()
    assert endpoint.is_overlapping(at=timezone.now())
    http.post(page, {"ticket": ticket})
    endpoint.refresh_from_db()
    assert signing.unsealed(endpoint.secret, owner=endpoint.pk) == secret


def test_secrets_are_for_administrators_and_pauses_for_operations_too():
    endpoint = EndpointFactory()
    lists = reverse("admin:webhooks_endpoint_changelist")
    for role, may_make, may_pause in (
        ("Administradores", True, True),
        ("Operaciones", False, True),
        ("Auditores", False, False),
    ):
        http = staff_browser(roles=(role,), name=role.lower())
        rotate = http.get(reverse("admin:webhooks_endpoint_rotate", args=[endpoint.pk])).status_code
        assert (rotate == 200) == may_make
        assert (http.get(reverse("admin:webhooks_endpoint_add")).status_code == 200) == may_make
        http.post(lists, {"action": "pause", "_selected_action": [str(endpoint.pk)]})
        endpoint.refresh_from_db()
        assert (endpoint.status == "PAUSED") == may_pause, role
        Endpoint.objects.update(status="ACTIVE", stopped_at=None)


def test_the_acts_of_the_lists():
    http, endpoint = superuser_browser(), EndpointFactory()
    failed = DeliveryFactory(endpoint=endpoint, status="FAILED")
    lists = reverse("admin:webhooks_endpoint_changelist")

    def act(name, row=endpoint, where=lists):
        return http.post(where, {"action": name, "_selected_action": [str(row.pk)]}, follow=True).content.decode()

    assert "En pausa" in act("pause")
    assert "siguen donde se detuvieron" in act("wake")
    assert "saldrá en segundos" in act("send_test")
    assert "aún no se envió" in act("send_test")
    assert "1 entregas se reenvían" in act("send_failed_again")
    Delivery.objects.filter(pk=failed.pk).update(status="DELIVERED")
    assert "1 entregas se reenvían" in act("send_again", failed, reverse("admin:webhooks_delivery_changelist"))


def test_deliveries_are_found_by_event_and_by_webhook():
    http, delivery = superuser_browser(), DeliveryFactory()
    DeliveryFactory()
    lists = reverse("admin:webhooks_delivery_changelist")
    for query in (
        f"?q=evt_{delivery.event_id}",
        f"?q={delivery.event_id}",
        f"?q={delivery.pk}",
        f"?endpoint__id__exact={delivery.endpoint_id}",
    ):
        answer = http.get(f"{lists}{query}")
        assert [each.pk for each in answer.context["cl"].result_list] == [delivery.pk], query
    assert http.get(f"{lists}?q=nada").context["cl"].result_count == 0


# --- what a page is called --------------------------------------------------------------------------------------------


def test_the_title_of_a_page_has_the_row_as_it_is():
    """A URL does not begin with a capital letter, and a mailbox does not either."""
    browser = superuser_browser()
    rows = [EndpointFactory(url=URL), AuthorizedClientFactory(email="ana@dominio.com")]
    for row in rows:
        page = browser.get(reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]))
        heading = re.search(r"<h1.*?</h1>", page.content.decode(), re.DOTALL).group()
        assert str(row) in heading
        assert str(capfirst(row._meta.verbose_name_plural)) in heading
