"""Links between pages of the back office: each figure, row and person leads on for users who may go on, and no link
leads to a page that is refused."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from clients.credentials import issue
from clients.external_clients import Details, register
from clients.models import Credential
from conftest import make_applicant
from messaging.models import ProviderState
from staff import second_factor
from staff.tests.authenticator import code
from support.tests.days_rows import sent, token
from tests.factories import AuthorizedClientFactory, PartnerFactory, staff_browser

pytestmark = pytest.mark.django_db


def member(role, name="eva", **changes):
    return staff_browser(roles=(role,), name=name, **changes)


def links(http, path):
    answer = http.get(path, follow=True)
    assert answer.status_code == 200, path
    return [unescape(each) for each in re.findall(r'<a\b[^>]*?href="([^"]*)"', answer.content.decode())]


@pytest.fixture
def rows(db):
    """Page in the admin -> case at the desk, for a row of each kind that is about a person."""
    at = timezone.now()
    bank = PartnerFactory(name="Banco")
    ana = make_applicant(partner=bank)
    asked = token(at, who=ana)
    message = sent(at, reference=asked.pk)
    client = AuthorizedClientFactory(partner=bank)
    details = Details("2380033370713", "Rosa", "Cruz", "555-1234", "P", "1", "web", [])
    key, _ = issue(bank, Credential.Kind.JWT, at=at, by="jefa")
    external = register(key, "CL1", details, request_id=1, address=None, at=at)
    return {
        f"/admin/clients/applicant/{ana.pk}/change/": f"/soporte/caso/cliente/{ana.pk}/",
        f"/admin/tokens/verificationtoken/{asked.pk}/change/": f"/soporte/caso/cliente/{ana.pk}/",
        f"/admin/messaging/message/{message.pk}/change/": f"/soporte/?q={message.pk}",
        f"/admin/clients/authorizedclient/{client.pk}/change/": f"/soporte/caso/autorizado/{client.pk}/",
        f"/admin/clients/externalclient/{external}/change/": f"/soporte/caso/externo/{external}/",
    }


def test_a_row_of_the_admin_links_to_the_person_s_case_and_the_case_back(rows):
    http = member("Operaciones")
    for page, case in rows.items():
        assert case in links(http, page), page
        back = links(http, case)
        assert any(each in back for each in rows if each.startswith("/admin/clients/")), case


def test_no_page_links_to_the_desk_for_users_who_may_not_use_it(rows):
    Group.objects.get(name="Auditores").permissions.remove(*Group.objects.get(name="Soporte").permissions.all())
    http = member("Auditores")
    for page in rows:
        assert not [each for each in links(http, page) if each.startswith("/soporte/")], page


def test_no_page_links_to_the_admin_for_agents_who_may_not_open_it(rows):
    http = member("Soporte")
    for case in set(rows.values()):
        assert not [each for each in links(http, case) if each.startswith("/admin/")], case
    assert not [each for each in links(http, "/soporte/") if each.startswith("/admin/")]


def test_a_user_s_page_links_to_the_reset_of_the_second_factor_and_back():
    luz, boss = (User.objects.create_user(name, is_staff=True) for name in ("luz", "jefa"))
    User.objects.filter(pk=boss.pk).update(is_superuser=True)
    http = member("Administradores")
    page, way = f"/admin/auth/user/{luz.pk}/change/", f"/cuenta/segundo-factor/restablecer/{luz.pk}/"
    assert way not in links(http, page), "there is none to reset"
    for each in (luz, boss):
        key = second_factor.new_key()
        second_factor.enrol(each, key, code(key), at=timezone.now(), address=None)
    assert way in links(http, page)
    assert page in links(http, way)
    assert f"Activo desde el {timezone.localdate():%d/%m/%Y}." in http.get(page).content.decode()
    assert "restablecer" not in " ".join(links(http, f"/admin/auth/user/{boss.pk}/change/")), "a superuser's to do"


def test_each_figure_of_the_dashboard_links_to_its_rows():
    at = timezone.now()
    token(at, outcome="FALLIDO")
    sent(at, state="FAILED", reply="Número inexistente")
    ProviderState.objects.create(name="smpp:10.0.0.1:2775", set_aside_at=at)
    http = member("Operaciones")
    board = links(http, "/admin/")
    day = f"created_at__year={at.astimezone(timezone.get_default_timezone()).year}"
    for wanted in (
        "/admin/tokens/verificationtoken/?outcome__exact=FALLIDO&" + day,
        "/admin/messaging/message/?state__exact=FAILED&" + day,
        "/admin/messaging/message/?state__exact=QUEUED",
        "/admin/external_api/apirequest/?" + day,
        "/admin/messaging/providerstate/smpp",
    ):
        [way] = {each for each in board if each.startswith(wanted)}
        answer = http.get(way)
        assert answer.status_code == 200, "a filter that the list does not know would be sent away"
        if "exact=F" in way:
            assert "1 fila" in answer.content.decode(), way


def test_the_account_s_page_links_to_the_desk_for_users_who_may_use_it():
    assert "/soporte/" in links(member("Soporte"), "/cuenta/")
    User.objects.create_user("nadie", is_staff=True)
    http = Client()
    http.force_login(User.objects.get(username="nadie"))
    assert "/soporte/" not in links(http, "/cuenta/")


@pytest.mark.parametrize("path", ["/nada", "/admin/nada/", "/soporte/nada/"])
def test_a_missing_page_is_told_in_spanish(path):
    http = member("Soporte")
    answer = http.get(path)
    assert answer.status_code == 404
    page = answer.content.decode()
    assert "Esta página no existe" in page
    assert 'href="/soporte/"' in page
    assert "/soporte/" not in Client().get("/nada").content.decode(), "of the desk strangers hear nothing"


def test_a_form_with_an_old_csrf_token_is_told_in_spanish():
    http = Client(enforce_csrf_checks=True)
    http.force_login(User.objects.create_user("eva", is_staff=True))
    answer = http.post("/admin/logout/")
    assert answer.status_code == 403
    assert "El formulario venció" in answer.content.decode()


def test_a_server_error_is_told_in_spanish(monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("support.cases.views.search", fails)
    http = member("Soporte")
    http.raise_request_exception = False
    answer = http.get("/soporte/?q=ana")
    assert answer.status_code == 500
    assert "Algo falló" in answer.content.decode()


@pytest.mark.parametrize("path", ["/soporte/", "/cuenta/", "/admin/login/"])
def test_each_page_names_its_icon_and_may_load_it(path):
    answer = (Client() if "login" in path else member("Soporte")).get(path)
    [icon] = re.findall(r'<link rel="icon"[^>]*href="/static/([^"]+)"', answer.content.decode())
    assert finders.find(icon)
    assert "img-src 'self'" in answer["Content-Security-Policy"]
