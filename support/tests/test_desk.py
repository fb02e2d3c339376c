"""Support desk as an agent uses it: search, diagnosis and actions. Destinations are masked; an action needs a reason
and is audited."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from clients.authorized_clients import Authorization, authorize
from clients.models import Applicant, AuditEntry, AuthorizedClient
from conftest import make_applicant
from messaging.models import Message
from support import urls
from tests.factories import PartnerFactory, staff_browser
from tokens import services
from tokens.errors import TokenExpired
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
CODE = "Q7ZX"
PHONE = "987654321"
HOSTILE = '<script>alert("x")</script>{{ 7|add:7 }}{% now "Y" %}'


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


@pytest.fixture
def agent(db):
    return staff_browser("use_desk", "act_at_desk", "unmask_at_desk")


@pytest.fixture
def ana(db):
    """Applicant who asked for a code and typed it 48 seconds late."""
    made = make_applicant(names="Ana María")
    began = timezone.now() - timedelta(minutes=10)
    services.request(made.pk, via="S", phone=PHONE, operator="CLARO", origin=Origin(), at=began)
    Message.objects.update(state="SENT", sent_at=began, sealed=None, provider="lejano")
    with pytest.raises(TokenExpired):
        services.verify(made.pk, CODE, origin=Origin(), at=began + timedelta(seconds=198))
    return made


@pytest.fixture
def luis(db):
    bank = PartnerFactory(name=HOSTILE, slug="banco", contracts=["nopasanada"])
    row = Authorization("luis@dominio.com", HOSTILE[:50], "DNI", "87654321", "912345678", HOSTILE, "A")
    authorize(bank, [row], request_id=1, at=timezone.now())
    return AuthorizedClient.objects.get()


def act(http, applicant, what, *, reason="lo pidió por teléfono", **more):
    return http.post(f"/soporte/caso/cliente/{applicant.pk}/{what}/", {"motivo": reason, **more}, follow=True)


def test_a_phone_number_opens_the_case_and_the_diagnosis_says_how_late(agent, ana):
    answer = agent.get("/soporte/", {"q": "987 654 321"}, follow=True)
    page = answer.content.decode()
    assert answer.redirect_chain[0][0] == f"/soporte/caso/cliente/{ana.pk}/"
    assert "Ingresó el código correcto 48 segundos tarde: venció el " in page
    assert "Ana María Perez Gomez" in page
    assert "Código ingresado: correcto, fuera de tiempo" in page
    assert "9•• ••• 321" in page
    assert "j•••@example.com" in page
    for secret in (PHONE, CODE, ana.email):
        assert secret not in page, secret


def test_the_wait_is_forgiven_and_a_new_code_goes_out(agent, ana):
    answer = act(agent, ana, "reenviar", via="S")
    assert "Código nuevo en camino por SMS." in answer.content.decode(), "two minutes have passed"
    answer = act(agent, ana, "reenviar", via="S")
    assert "Debe esperar 4 minutos, o perdone la espera primero." in answer.content.decode()
    assert "puede pedir otro código por SMS ahora" in act(agent, ana, "perdonar").content.decode()
    assert "Código nuevo en camino por WhatsApp." in act(agent, ana, "reenviar", via="W").content.decode()
    token = VerificationToken.objects.order_by("-created_at").first()
    assert (token.via, token.destination, token.outcome) == ("W", PHONE, "PENDIENTE")
    assert "Código cancelado." in act(agent, ana, "cancelar").content.decode()
    actions = [(each.action, each.actor, each.address, each.reason) for each in AuditEntry.objects.order_by("id")]
    who = ("eva", "192.0.2.7", "lo pidió por teléfono")
    assert actions == [(each, *who) for each in ("code.resent", "ladder.forgiven", "code.resent", "code.cancelled")]


def test_an_action_that_cannot_be_done_is_told_and_not_audited(agent, ana):
    for what, words in (("desbloquear", "No está bloqueado."), ("cancelar", "No hay un código vigente.")):
        assert words in act(agent, ana, what).content.decode()
    Applicant.objects.update(state="VALIDADO", validated_at=timezone.now(), proved_via="S", proved_destination=PHONE)
    assert "Ya está verificado." in act(agent, ana, "reenviar", via="S").content.decode()
    assert not AuditEntry.objects.exists()


def test_an_agent_unlocks_an_applicant(agent, ana):
    Applicant.objects.update(locked_at=timezone.now())
    assert "Está bloqueado" in act(agent, ana, "reenviar", via="C").content.decode()
    assert "Desbloqueado." in act(agent, ana, "desbloquear").content.decode()
    ana.refresh_from_db()
    assert ana.locked_at is None


@pytest.mark.parametrize("reason", ["", "  ", "x"])
def test_without_a_reason_no_action_is_done(agent, ana, reason):
    for what in ("perdonar", "cancelar", "mostrar"):
        assert "Escriba un motivo." in act(agent, ana, what, reason=reason).content.decode()
    assert not AuditEntry.objects.exists()


def test_whole_destinations_are_shown_once_and_audited(agent, ana):
    page = act(agent, ana, "mostrar").content.decode()
    assert PHONE in page
    assert ana.email in page
    [entry] = AuditEntry.objects.all()
    assert (entry.action, entry.object_id, entry.actor) == ("recipient.unmasked", str(ana.pk), "eva")
    assert PHONE not in agent.get(f"/soporte/caso/cliente/{ana.pk}/").content.decode()


def test_an_agent_deauthorises_a_client(agent, luis):
    where = f"/soporte/caso/autorizado/{luis.pk}/"
    answer = agent.post(f"{where}baja/", {"motivo": "lo pidió", "autorizado": luis.pk}, follow=True)
    assert "Dado de baja de" in answer.content.decode()
    luis.refresh_from_db()
    assert luis.deauthorized_at is not None
    assert AuditEntry.objects.get().action == "client.deauthorized"
    other = authorized_elsewhere()
    answer = agent.post(f"{where}baja/", {"motivo": "lo pidió", "autorizado": other.pk})
    assert answer.status_code == 404, "only who the case is about"


def authorized_elsewhere():
    partner = PartnerFactory(name="Otra", contracts=["nopasanada"])
    row = Authorization("otro@dominio.com", "Otro Cliente", "", "", "", "C", "A")
    authorize(partner, [row], request_id=2, at=timezone.now())
    return AuthorizedClient.objects.get(email="otro@dominio.com")


def test_text_of_partners_is_escaped(agent, luis):
    for page in ("/soporte/?q=luis@dominio.com", f"/soporte/?q={HOSTILE}", f"/soporte/caso/autorizado/{luis.pk}/"):
        text = agent.get(page, follow=True).content.decode()
        assert "<script>alert" not in text
        assert "{{ 7|add:7 }}" in text, "shown as it stands, not worked out"


def test_several_people_are_a_list_each_with_its_diagnosis(agent, ana):
    other = make_applicant("11112222", names="Otra")
    services.request(other.pk, via="W", phone=PHONE, operator="CLARO", origin=Origin(), at=timezone.now())
    page = agent.get("/soporte/", {"q": PHONE}).content.decode()
    assert "2 personas con" in page
    assert "Ingresó el código correcto 48 segundos tarde" in page
    assert PHONE in page, "only where the agent typed it"
    assert page.count(PHONE) == 3


@pytest.mark.parametrize("path", ["cliente/x/", "otro/1/", "autorizado/999999/", "autorizado/x/", "externo/7/"])
def test_an_unknown_case_is_not_found(agent, path):
    assert agent.get(f"/soporte/caso/{path}").status_code == 404


def paths(applicant):
    """URLs of the desk and their names, from the URL map."""
    values = {"kind": "cliente", "key": str(applicant.pk), "what": "perdonar", "form": "csv"}
    for pattern in urls.urlpatterns:
        route = str(pattern.pattern)
        yield "/soporte/" + re.sub(r"<\w+:(\w+)>", lambda match: values[match[1]], route), pattern.name


def test_nobody_opens_or_does_anything_without_the_permission(ana):
    for user in (Client(), staff_browser()):
        for path, name in paths(ana):
            for send in (user.get, user.post):
                answer = send(path, {"motivo": "porque sí", "via": "S"})
                assert answer.status_code in (302, 403, 405), (path, name)
                if answer.status_code == 302:
                    assert answer["Location"].startswith("/admin/login/?next=/soporte/")
                assert "Ana" not in answer.content.decode()
        User.objects.all().delete()
    assert not AuditEntry.objects.exists()


def test_an_agent_who_may_only_look_does_nothing(ana):
    http = staff_browser("use_desk")
    page = http.get(f"/soporte/caso/cliente/{ana.pk}/").content.decode()
    assert "Acciones" not in page
    for what in ("perdonar", "desbloquear", "cancelar", "reenviar", "mostrar"):
        assert act(http, ana, what, via="S").status_code == 403
    assert not AuditEntry.objects.exists()


def test_an_agent_of_the_desk_opens_nothing_else(ana):
    http = staff_browser("use_desk", "act_at_desk", "unmask_at_desk")
    for path in ("clients/partner", "clients/applicant", "messaging/message", "auth/user", "clients/auditentry"):
        assert http.get(f"/admin/{path}/").status_code == 403, path
        assert http.post(f"/admin/{path}/add/").status_code == 403, path


def test_a_page_is_not_cached_and_loads_nothing_from_elsewhere(agent, ana):
    answer = agent.get(f"/soporte/caso/cliente/{ana.pk}/")
    assert answer["Cache-Control"] == "no-store, private"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "style=" not in answer.content.decode()


def test_a_fourth_forgiveness_of_a_day_is_for_operations(agent, ana):
    for _ in range(3):
        assert "Espera perdonada" in act(agent, ana, "perdonar").content.decode()
    assert "le corresponde al rol Operaciones" in act(agent, ana, "perdonar").content.decode()
    assert AuditEntry.objects.filter(action="ladder.forgiven").count() == 3
    eva = User.objects.get(username="eva")
    eva.groups.add(Group.objects.get(name="Operaciones"))
    assert "Espera perdonada" in act(agent, ana, "perdonar").content.decode()


def test_a_code_from_the_desk_counts_as_paid(agent, ana, settings):
    settings.PAID_MESSAGES_PER_DAY = 1
    assert "Debe esperar" not in act(agent, ana, "reenviar", via="S").content.decode()
    act(agent, ana, "perdonar")
    words = "Se alcanzó el tope de mensajes de hoy"
    assert words in act(agent, ana, "reenviar", via="S").content.decode()
    settings.PAID_MESSAGES_PER_DAY_TOTAL = 1
    assert words in act(agent, ana, "reenviar", via="W").content.decode()
    assert AuditEntry.objects.filter(action="code.resent").count() == 1


def test_a_code_from_the_desk_that_is_refused_costs_nothing(agent, ana, settings):
    settings.PAID_MESSAGES_PER_DAY = 1
    Applicant.objects.update(locked_at=timezone.now())
    assert "Está bloqueado" in act(agent, ana, "reenviar", via="S").content.decode()
    Applicant.objects.update(locked_at=None)
    assert "Código nuevo" in act(agent, ana, "reenviar", via="S").content.decode()
