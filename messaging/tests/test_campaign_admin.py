"""Campaigns in the admin: drafts, preview, test mails, and confirmed, audited changes of state."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.models import AuditEntry
from messaging.admin.campaign_steps import STEPS, TESTS_PER_HOUR
from messaging.campaigns import lifecycle, profiles
from messaging.gateways.base import GatewayError, OutcomeUnknown, Receipt
from messaging.models import Campaign, Message, SandboxMessage
from messaging.tests.campaign_steps import campaign, launch, send_all, subscriber
from tests.factories import MessageFactory, PartnerFactory, RecipientFeedbackFactory, staff_browser, superuser_browser
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/campaign/"
WORDS = {"type": "boletin", "subject": "Hola", "text": "Un texto", "html": ""}


@pytest.fixture
def partner():
    return PartnerFactory(name="Uno")


@pytest.fixture
def boss():
    return superuser_browser()


def page(http, path):
    answer = http.get(path)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def at(one, slug="change"):
    return f"{LIST}{one.pk}/{slug}/"


def texts_shown(answer):
    return [str(message) for message in answer.context["messages"]]


def step(http, one, slug, **fields):
    return http.post(at(one, slug), {"confirmed": "yes", **fields}, follow=True)


def test_a_draft_is_written_and_says_by_whom(boss, partner):
    for nth, profile in enumerate(("VIP", "VIP, Lima", "Otro")):
        subscriber(partner, f"c{nth}@dominio.com", profile=profile)
    answer = boss.post(f"{LIST}add/", {**WORDS, "partners": [partner.pk], "profiles": ["VIP, Lima", "Otro"]})
    one = Campaign.objects.get()
    assert answer.headers["Location"] == at(one)
    assert (one.state, one.created_by, one.profiles) == ("DRAFT", "ana", ["VIP, Lima", "Otro"])
    assert list(one.partners.all()) == [partner]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("campaign.created", "ana", "192.0.2.7")


@pytest.mark.parametrize("subject", ["uno\ndos", "uno\r\nBcc: x@y.com", "uno\u2028dos", "uno\x00dos"])
def test_a_subject_has_no_line_breaks(boss, subject):
    answer = boss.post(f"{LIST}add/", {**WORDS, "subject": subject})
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["subject"]
    assert not Campaign.objects.exists()


def test_changing_a_draft_is_audited_by_field(boss):
    one = campaign()
    boss.post(at(one), {**WORDS, "subject": "Otro"})
    one.refresh_from_db()
    assert (one.subject, one.created_by) == ("Otro", "ana")
    entry = AuditEntry.objects.get(action="campaign.changed")
    assert {"field": "subject", "before": "Novedades", "after": "Otro"} in entry.data["changes"]


@pytest.mark.parametrize("state", ["SCHEDULED", "SENDING", "PAUSED", "DONE", "CANCELLED"])
def test_what_is_no_draft_is_neither_written_nor_deleted(boss, state):
    one = campaign(state=state)
    assert 'name="subject"' not in page(boss, at(one))
    answer = boss.post(at(one), {**WORDS, "subject": "Otro"}, follow=True)
    assert texts_shown(answer) == ["La campaña ya no es un borrador; no se guardó nada."]
    assert boss.post(at(one, "delete"), {"post": "yes"}).status_code == 403
    one.refresh_from_db()
    assert (one.subject, one.state) == ("Novedades", state)


def test_a_draft_can_be_deleted_and_that_is_kept(boss):
    one = campaign()
    boss.post(at(one, "delete"), {"post": "yes"})
    assert not Campaign.objects.exists()
    data = AuditEntry.objects.get(action="campaign.deleted").data
    assert data["subject"] == "Novedades"
    assert {"field": "subject", "before": "Novedades", "after": None} in data["changes"]


def test_the_preview_runs_nothing(boss):
    evil = '<script>alert(1)</script><p title="x">Hola</p>'
    one = campaign(subject="<b>Oferta</b> & más", html=evil, text="<i>texto</i>")
    html = page(boss, at(one))
    assert evil not in html
    assert "<b>Oferta</b>" not in html
    assert "&lt;b&gt;Oferta&lt;/b&gt; &amp; más" in html
    assert "&lt;i&gt;texto&lt;/i&gt;" in html
    frame = re.search(r"<iframe[^>]*>", html)[0]
    assert 'sandbox=""' in frame
    assert evil in unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])
    assert "<b>Oferta</b>" not in page(boss, LIST)


def test_a_draft_shows_whom_it_would_reach(boss, partner):
    other = PartnerFactory(name="Dos")
    for each in (partner, other):
        subscriber(each, "ana@dominio.com")
    subscriber(partner, "eva@dominio.com")
    answer = boss.get(at(campaign()))
    assert answer.context["reach"] == 2
    assert answer.context["reach_by_partner"] == [("Dos", 1), ("Uno", 2)]
    assert "<strong>2</strong> direcciones suscritas." in answer.text


def test_one_address_is_not_called_several(boss, partner):
    subscriber(partner, "ana@dominio.com")
    assert "<strong>1</strong> dirección suscrita." in boss.get(at(campaign())).text


def test_the_list_asks_one_question_for_all_and_counts_as_the_domain_does(boss, partner):
    for each in range(4):
        subscriber(partner, f"c{each}@dominio.com")
    first = campaign()
    launch(first)
    send_all()
    Message.objects.filter(recipient="c0@dominio.com").update(state="FAILED")
    Message.objects.filter(recipient="c1@dominio.com").update(state="UNKNOWN")
    page(boss, LIST)
    with CaptureQueriesContext(connection) as few:
        page(boss, LIST)
    for _ in range(5):
        launch(campaign())
    with CaptureQueriesContext(connection) as many:
        html = page(boss, LIST)
    assert len(many) == len(few)
    everything = list(Campaign.objects.all())
    assert lifecycle.progress_by_campaign(everything) == {one.pk: lifecycle.progress(one) for one in everything}
    assert "100 %: 2 enviados, 1 fallidos, 1 sin respuesta clara" in html


def test_a_campaign_of_nobody_has_no_bar(boss, partner):
    one = campaign()
    launch(one)
    html = page(boss, at(one))
    assert "Avance" in html
    assert "<progress" not in html


def test_progress_is_a_bar_and_numbers(boss, partner):
    subscriber(partner, "ana@dominio.com")
    one = campaign()
    launch(one)
    send_all()
    html = page(boss, at(one))
    assert '<progress max="100" value="100"' in html
    assert "<tr><td>1</td><td>1</td><td>0</td><td>0</td><td>0</td><td>0</td></tr>" in html


def test_scheduling_asks_to_confirm_the_number(boss, partner):
    subscriber(partner, "ana@dominio.com")
    one = campaign()
    assert "llegaría a <strong>1</strong>" in page(boss, at(one, "programar"))
    wrong = step(boss, one, "programar", recipients="2")
    assert "En este momento son 1." in wrong.content.decode()
    assert (
        "Debe ser de ahora" in step(boss, one, "programar", recipients="1", begins="2020-01-01T10:00").content.decode()
    )
    one.refresh_from_db()
    assert one.state == "DRAFT"
    tomorrow = timezone.localtime() + timedelta(days=1)
    answer = step(boss, one, "programar", recipients="1", begins=f"{tomorrow:%Y-%m-%dT%H:%M}")
    one.refresh_from_db()
    assert (one.state, one.audience) == ("SCHEDULED", 1)
    assert one.scheduled_at == tomorrow.replace(second=0, microsecond=0)
    assert texts_shown(answer) == [f"Programada para el {tomorrow:%d/%m/%Y %H:%M}: 1 destinatarios."]
    entry = AuditEntry.objects.get(action="campaign.scheduled")
    assert (entry.actor, entry.address) == ("ana", "192.0.2.7")


def test_a_campaign_without_recipients_cannot_be_scheduled(boss):
    one = campaign()
    assert "Nadie la recibiría" in step(boss, one, "programar", recipients="0").content.decode()
    one.refresh_from_db()
    assert one.state == "DRAFT"


def test_from_now_through_a_pause_to_the_end(boss, partner):
    subscriber(partner, "ana@dominio.com")
    one = campaign()
    step(boss, one, "programar", recipients="1")
    step(boss, one, "borrador")
    step(boss, one, "programar", recipients="1")
    lifecycle.run(at=timezone.now())
    for slug, state in (("pausar", "PAUSED"), ("reanudar", "SENDING"), ("pausar", "PAUSED")):
        step(boss, one, slug)
        one.refresh_from_db()
        assert one.state == state
    assert step(boss, one, "anular", reason="").context["form"].errors["reason"]
    assert texts_shown(step(boss, one, "anular", reason="precio errado")) == [
        "Anulada; se retiraron 1 mensajes que aún no salían."
    ]
    one.refresh_from_db()
    assert one.state == "CANCELLED"
    assert AuditEntry.objects.get(action="campaign.cancelled").reason == "precio errado"


def test_a_step_that_does_not_fit_the_state_says_so(boss):
    for state in Campaign.State.values:
        one = campaign(state=state)
        shown = page(boss, at(one))
        for each in STEPS:
            fits = state in each.sources
            assert (at(one, each.slug) in shown) == fits
            if not fits:
                assert texts_shown(step(boss, one, each.slug, reason="x")) == [
                    "La campaña ya no está en ese estado; no se cambió nada."
                ]
        one.refresh_from_db()
        assert one.state == state


def test_staff_who_lose_a_race_see_a_warning(boss, monkeypatch):
    one = campaign(state="SENDING")

    def meanwhile(*args, **kwargs):
        raise lifecycle.WrongState

    monkeypatch.setattr(lifecycle, "pause", meanwhile)
    answer = step(boss, one, "pausar")
    assert texts_shown(answer) == ["La campaña ya no está en ese estado; no se cambió nada."]


def test_looking_at_a_step_does_not_take_it(boss):
    one = campaign(state="SENDING")
    assert "csrfmiddlewaretoken" in page(boss, at(one, "pausar"))
    one.refresh_from_db()
    assert one.state == "SENDING"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ana"))
    assert strict.post(at(one, "pausar")).status_code == 403


def test_who_may_only_look_changes_nothing():
    http = staff_browser("view_campaign")
    one = campaign()
    html = page(http, at(one))
    assert 'name="subject"' not in html
    for each in STEPS:
        assert f"../{each.slug}/" not in html
        assert http.post(at(one, each.slug)).status_code == 403
    assert http.post(at(one), WORDS).status_code == 403
    assert clerk_without_permission().get(at(one, "programar")).status_code == 302


def clerk_without_permission():
    return Client()


def test_a_test_leaves_at_once_for_one_address(boss, partner):
    one = campaign(subject="Oferta", is_advertising=True, html="<p>Hola</p>")
    answer = step(boss, one, "prueba", recipient=" Ana@Dominio.com ")
    assert texts_shown(answer) == ["Prueba enviada a ana@dominio.com. sandbox respondió: sandbox"]
    sent = SandboxMessage.objects.get()
    assert (sent.to, sent.via) == ("ana@dominio.com", "C")
    assert not Message.objects.exists()
    assert AuditEntry.objects.get(action="campaign.tested").data == {"recipient": "ana@dominio.com"}


@pytest.mark.parametrize("address", ["", "ana", "ana@x", "a@x.com,b@x.com", "a@x.com\nBcc: b@x.com", "<a@x.com>"])
def test_a_test_goes_to_one_address_only(boss, address):
    answer = step(boss, campaign(), "prueba", recipient=address)
    assert answer.context["form"].errors["recipient"]
    assert not SandboxMessage.objects.exists()


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Receipt("1", "250 ok"), "Prueba enviada a ana@dominio.com. uno respondió: 250 ok"),
        (GatewayError("550 no", permanent=True), "uno no la aceptó: 550 no"),
        (OutcomeUnknown("sin eco"), "uno no respondió con claridad; puede haber salido: sin eco"),
    ],
)
def test_the_provider_s_answer_is_shown(boss, monkeypatch, outcome, text):
    provider = FakeGateway("uno", outcome)
    monkeypatch.setattr("messaging.admin.campaign_steps.gateways_for", lambda via: (provider,))
    answer = step(boss, campaign(is_advertising=True), "prueba", recipient="ana@dominio.com")
    assert texts_shown(answer) == [text]
    assert provider.messages[0].subject == "[PRUEBA] PUBLICIDAD: Novedades"


def test_without_a_provider_a_test_says_so(boss, settings):
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": ()}
    answer = step(boss, campaign(), "prueba", recipient="ana@dominio.com")
    assert texts_shown(answer) == ["No hay proveedor de correo: falta EMAIL_URL."]


def test_tests_are_counted(boss):
    one = campaign()
    for _ in range(TESTS_PER_HOUR):
        step(boss, one, "prueba", recipient="ana@dominio.com")
    assert texts_shown(step(boss, one, "prueba", recipient="ana@dominio.com"))[0].startswith(
        "Demasiadas pruebas; espere"
    )
    assert SandboxMessage.objects.count() == TESTS_PER_HOUR


def test_a_count_that_takes_too_long_does_not_cost_the_page(boss, monkeypatch):
    def slow(_):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '20ms'")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(lifecycle, "count_audience", slow)
    monkeypatch.setattr(lifecycle, "progress", slow)
    assert "demasiados clientes" in page(boss, at(campaign()))
    assert "demasiados mensajes" in page(boss, at(campaign(state="SENDING")))


# --- profiles, placeholders, copies, figures ---


def errors_of(answer):
    return answer.context["adminform"].form.errors


def test_a_profile_with_a_comma_is_addressed_alone(boss, partner):
    for who, profile in {"a": "VIP", "b": "Lima", "c": "VIP, Lima"}.items():
        subscriber(partner, f"{who}@dominio.com", profile=profile)
    html = page(boss, f"{LIST}add/")
    assert re.search(r'type="checkbox"[^>]*name="profiles"[^>]*value="VIP, Lima"', html)
    boss.post(f"{LIST}add/", {**WORDS, "profiles": ["VIP, Lima"]})
    one = Campaign.objects.get()
    assert [client.email for client in lifecycle.audience(one)] == ["c@dominio.com"]
    assert "(«VIP, Lima»)" in page(boss, LIST)


def test_a_profile_that_nobody_has_is_refused(boss, partner):
    subscriber(partner, "a@dominio.com", profile="VIP")
    assert errors_of(boss.post(f"{LIST}add/", {**WORDS, "profiles": ["VP"]}))["profiles"]


def test_a_profile_that_nobody_has_any_more_stays_chosen(boss):
    one = campaign(profiles=["Antiguo"])
    assert "Antiguo (ya nadie lo tiene)" in page(boss, at(one))
    boss.post(at(one), {**WORDS, "profiles": ["Antiguo"]})
    one.refresh_from_db()
    assert one.profiles == ["Antiguo"]


def test_many_profiles_are_written_one_a_line(boss, partner, monkeypatch):
    monkeypatch.setattr(profiles, "MOST", 2)
    for nth, profile in enumerate(("A, b", "C", "D")):
        subscriber(partner, f"c{nth}@dominio.com", profile=profile)
    boss.post(f"{LIST}add/", {**WORDS, "profiles": "A, b\r\n  C \r\n\r\nA, b"})
    one = Campaign.objects.get()
    assert one.profiles == ["A, b", "C"]
    assert ">A, b\nC<" in page(boss, at(one)).replace("\r", "")
    refused = errors_of(boss.post(at(one), {**WORDS, "profiles": "A, b\nX, y"}))
    assert refused["profiles"] == ["Ningún cliente tiene el perfil «X, y»."]


def test_an_unknown_placeholder_is_refused(boss):
    answer = boss.post(f"{LIST}add/", {**WORDS, "subject": "{{nombre}}", "text": "{{apellido}}", "html": "{{ dni }}"})
    assert set(errors_of(answer)) == {"text", "html"}
    assert errors_of(answer)["text"] == ["No se conoce {{apellido}}. Use {{nombre}} o {{nombre|cliente}}."]


def test_an_html_that_would_hide_the_footer_is_refused(boss):
    answer = boss.post(f"{LIST}add/", {**WORDS, "html": "<p>x</p><!-- y"})
    assert "un comentario (<!--)" in errors_of(answer)["html"][0]


@pytest.mark.parametrize("state", ["DRAFT", "SENDING", "DONE", "CANCELLED"])
def test_a_campaign_is_copied_to_a_draft(boss, partner, state):
    one = campaign(state=state, profiles=["VIP, Lima"], html="<p>x</p>", audience=7, pause_reason="x")
    one.partners.add(partner)
    answer = step(boss, one, "copiar")
    made = Campaign.objects.exclude(pk=one.pk).get()
    assert answer.redirect_chain[-1][0] == at(made)
    assert (made.state, made.profiles, made.html, made.audience) == ("DRAFT", ["VIP, Lima"], "<p>x</p>", None)
    assert (made.created_by, made.pause_reason, list(made.partners.all())) == ("ana", "", [partner])
    assert AuditEntry.objects.get(action="campaign.copied").data["of"] == one.pk


def test_a_campaign_that_paused_itself_says_why_and_wants_a_reason_to_go_on(boss):
    one = campaign(state="PAUSED", pause_reason="2 de 500 lo marcaron como no deseado")
    assert "Se detuvo sola:</strong> 2 de 500 lo marcaron como no deseado." in page(boss, at(one))
    assert "2 de 500 lo marcaron como no deseado" in page(boss, at(one, "reanudar"))
    step(boss, one, "reanudar")
    one.refresh_from_db()
    assert one.state == "PAUSED", "without a reason"
    step(boss, one, "reanudar", reason="era una prueba")
    one.refresh_from_db()
    assert one.state == "SENDING"
    assert AuditEntry.objects.get(action="campaign.sending").reason == "era una prueba"


def test_a_campaign_that_staff_paused_needs_no_reason(boss):
    one = campaign(state="PAUSED")
    step(boss, one, "reanudar")
    one.refresh_from_db()
    assert one.state == "SENDING"


def test_a_campaign_of_a_restored_backup_says_so_and_wants_a_reason_to_go_on(boss):
    one = campaign(state="PAUSED", restored_at=timezone.now())
    assert "Se restauró un respaldo" in page(boss, at(one))
    assert "a esos les llegaría otra vez" in page(boss, at(one, "reanudar"))
    step(boss, one, "reanudar")
    one.refresh_from_db()
    assert one.state == "PAUSED", "without a reason"
    step(boss, one, "reanudar", reason="el proveedor no los tiene")
    one.refresh_from_db()
    assert one.state == "SENDING"
    assert "Se restauró un respaldo" not in page(boss, at(one))
    draft = campaign(state="DRAFT", restored_at=timezone.now())
    assert "a esos les llegaría otra vez" in page(boss, at(draft, "programar"))


def test_the_figures_of_a_campaign_count_what_came_back(boss):
    one = campaign(state="SENDING")
    for kind, number in {"UNSUBSCRIBED": 3, "COMPLAINT": 2, "HARD_BOUNCE": 1}.items():
        for nth in range(number):
            sent = MessageFactory(
                sent=True, kind="boletin", via="C", campaign=one, recipient=f"{kind}{nth}@dominio.com".lower()
            )
            RecipientFeedbackFactory(message=sent, kind=kind)
    html = page(boss, at(one))
    assert "Bajas con su enlace: 3 · Quejas (correo no deseado): 2 · Rebotes: 1 · " in html


def test_each_figure_of_a_campaign_opens_its_messages(boss, partner):
    for name in ("a", "b", "c"):
        subscriber(partner, f"{name}@dominio.com")
    launch(one := campaign())
    send_all()
    Message.objects.filter(recipient="a@dominio.com").update(state="FAILED")
    other = campaign(subject="Otra")
    shown = page(boss, at(one))
    links = re.findall(r'href="(/admin/messaging/message/\?campaign=[^"]*)" title="Ver los mensajes">([^<]*)<', shown)
    rows = {name: boss.get(unescape(link)).context["cl"].result_count for link, name in links}
    assert rows == {"Destinatarios": 3, "Enviados": 2, "Fallidos": 1, "Sin respuesta clara": 0, "Omitidos": 0}
    assert one.subject in page(boss, unescape(links[0][0])), "the list says which campaign it shows"
    assert boss.get(f"/admin/messaging/message/?campaign={other.pk}").context["cl"].result_count == 0


@pytest.mark.parametrize("chosen", ["x", "-1", "9" * 30, "999999", "\u0663", ""])
def test_a_campaign_that_is_none_has_no_messages(boss, partner, chosen):
    subscriber(partner, "a@dominio.com")
    launch(campaign())
    assert boss.get("/admin/messaging/message/", {"campaign": chosen}).context["cl"].result_count == 0


def test_a_message_names_its_campaign(boss, partner):
    subscriber(partner, "a@dominio.com")
    launch(one := campaign(subject="Ofertas <b>"))
    shown = page(boss, f"/admin/messaging/message/{Message.objects.get().pk}/change/")
    assert f'<a class="text-link" href="{at(one)}">Ofertas &lt;b&gt;</a>' in shown
    assert "El de su campaña." in shown


def test_who_may_not_see_messages_gets_no_links_to_them():
    shown = page(staff_browser("view_campaign"), at(campaign(state="DONE")))
    assert "/admin/messaging/message/" not in shown


def test_the_progress_renews_itself_while_it_can_change(boss, partner):
    subscriber(partner, "a@dominio.com")
    launch(one := campaign())
    where = at(one, "avance")
    assert f'data-refresh="{where}" data-every="10" data-state="SENDING"' in page(boss, at(one))
    answer = boss.get(where, headers={"Aval-Poll": "1"})
    assert (answer.headers["Aval-State"], "<html" in answer.content.decode()) == ("SENDING", False)
    assert "<td>0</td>" in answer.content.decode()
    send_all()
    lifecycle.run(at=timezone.now() + timedelta(minutes=1))
    assert boss.get(where).headers["Aval-State"] == "DONE"
    assert "data-refresh" not in page(boss, at(one))


def test_the_progress_is_for_who_may_see_the_campaign(partner):
    one = campaign()
    assert staff_browser("view_message").get(at(one, "avance")).status_code == 403
    assert superuser_browser().get(f"{LIST}999/avance/").status_code == 404
