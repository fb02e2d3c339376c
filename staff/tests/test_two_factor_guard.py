"""Guard of the second factor: a password alone opens no page below /admin/, /soporte/ and /cuenta/, and does nothing.

The URLs come from the URL map, so that a new page is tried too.
"""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from clients.models import AuditEntry
from staff import second_factor
from staff.middleware import ENROL, GUARDED_PATHS, LOGIN
from staff.tests.authenticator import code

pytestmark = pytest.mark.django_db
VALUES = {
    "pk": "1",
    "object_id": "1",
    "kind": "cliente",
    "key": "1",
    "what": "perdonar",
    "form": "csv",
    "app_label": "clients",
    "content_type_id": "1",
    "url": "clients/x",
}


@pytest.fixture
def chief(db):
    return User.objects.create_superuser("jefa", password="una clave larga")


def enrolled(user):
    key = second_factor.new_key()
    second_factor.enrol(user, key, code(key, -1), at=timezone.now(), address=None)
    return key


def logged_in(user):
    http = Client(raise_request_exception=False)
    http.force_login(user)
    return http


def addresses(patterns=None, before=""):
    """URLs below the guarded paths."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: VALUES.get(match[1], "1"), str(each.pattern))
        route = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda match: VALUES.get(match[1], "1"), route)
        route = route.replace("^", "").replace("\\Z", "").replace("$", "").replace("\\", "")
        if isinstance(each, URLResolver):
            yield from addresses(each.url_patterns, route)
        elif isinstance(each, URLPattern) and f"/{route}".startswith(GUARDED_PATHS):
            yield f"/{route}"


def closed():
    return [each for each in addresses() if each not in LOGIN]


def test_the_url_map_is_read():
    found = list(addresses())
    assert len(found) > 60
    for each in (
        "/soporte/",
        "/soporte/mensajes/",
        "/admin/",
        "/admin/clients/partner/",
        "/admin/password_change/",
        "/soporte/caso/cliente/1/perdonar/",
        "/cuenta/segundo-factor/quitar/",
    ):
        assert each in found
    for each in LOGIN:
        assert each in found


def everything_is_closed(http, to):
    """Assert that no URL answers GET or POST with anything but the way to `to`."""
    for path in closed():
        for send in (http.get, http.post):
            answer = send(path, {"motivo": "porque sí"})
            assert answer.status_code == 302, path
            assert answer["Location"].startswith(to), (path, answer["Location"])
            assert not answer.content
        scripted = http.post(path, {"motivo": "porque sí"}, headers={"HX-Request": "true"})
        assert scripted.status_code in (401, 403), path
        assert scripted["Content-Type"] == "application/json"
        assert scripted["HX-Redirect"].startswith(to)


@pytest.mark.parametrize("method", ["head", "put", "patch", "delete", "options", "trace"])
def test_no_other_method_opens_a_page(method):
    for path in closed():
        assert getattr(Client(), method)(path).status_code == 302


def test_an_anonymous_request_opens_nothing(chief):
    everything_is_closed(Client(raise_request_exception=False), "/admin/login/?next=/")


def test_a_session_of_a_user_who_is_not_staff_opens_nothing():
    everything_is_closed(logged_in(User.objects.create_user("cliente")), "/admin/login/?next=/")


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_password_alone_opens_nothing_where_the_account_has_a_second_factor(chief, settings, mode):
    settings.STAFF_TWO_FACTOR = mode
    enrolled(chief)
    before = AuditEntry.objects.count()
    everything_is_closed(logged_in(chief), "/cuenta/codigo/?next=")
    assert AuditEntry.objects.count() == before


def test_a_password_alone_opens_nothing_where_a_second_factor_is_required(chief, settings, monkeypatch):
    settings.STAFF_TWO_FACTOR = "required"
    http = logged_in(chief)
    assert http.get(ENROL).status_code == 200
    monkeypatch.setattr(f"{__name__}.closed", lambda: [each for each in addresses() if each not in (*LOGIN, ENROL)])
    everything_is_closed(http, f"{ENROL}?next=")


def test_a_password_is_enough_where_nothing_more_was_asked_for(chief, settings):
    settings.STAFF_TWO_FACTOR = "optional"
    http = logged_in(chief)
    for path in ("/admin/", "/soporte/", "/cuenta/"):
        assert http.get(path).status_code == 200


def test_another_person_s_device_opens_nothing(chief):
    leo = User.objects.create_user("leo", is_staff=True)
    enrolled(leo)
    enrolled(chief)
    http = logged_in(chief)
    session = http.session
    session["otp_device_id"] = second_factor.device_of(leo).persistent_id
    session.save()
    assert http.get("/admin/")["Location"].startswith("/admin/login/?next=/admin/&motivo=factor")
    assert "_auth_user_id" not in http.session


@pytest.mark.parametrize(
    ("headers", "scripted"),
    [
        ({}, False),
        ({"Accept": "text/html,application/json", "Sec-Fetch-Mode": "navigate"}, False),
        ({"HX-Request": "true"}, True),
        ({"X-Requested-With": "XMLHttpRequest"}, True),
        ({"Accept": "application/json"}, True),
        ({"Sec-Fetch-Mode": "cors"}, True),
        ({"Sec-Fetch-Mode": "same-origin"}, True),
    ],
    ids=str,
)
def test_a_script_is_answered_in_json_and_a_page_by_a_redirect(headers, scripted):
    answer = Client().get("/soporte/mensajes/", headers=headers)
    if scripted:
        assert (answer.status_code, answer.json()["login"]) == (401, "/admin/login/?next=/soporte/")
    else:
        assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/soporte/mensajes/")


def test_rows_that_a_page_asks_for_by_itself_are_never_a_login_page():
    answer = Client().get("/soporte/mensajes/", {"desde_fila": "x"})
    assert answer.status_code == 401
    assert "<" not in answer.content.decode()


def test_after_a_refused_action_the_login_leads_back_to_the_page_of_the_form():
    http = Client()
    path = "/soporte/caso/cliente/1/perdonar/"
    answer = http.post(path, headers={"Referer": "http://testserver/soporte/caso/cliente/1/?x=1"})
    assert answer["Location"] == "/admin/login/?next=/soporte/caso/cliente/1/%3Fx%3D1"
    answer = http.post(path, headers={"Referer": "https://elsewhere.example/soporte/"})
    assert answer["Location"] == "/admin/login/?next=/soporte/"


def test_partners_pages_and_static_files_read_no_session(chief):
    with CaptureQueriesContext(connection) as asked:
        for path in ("/static/staff/staff.css", "/referencia/", "/v1/api/status"):
            answer = Client().get(path)
            assert answer.status_code == 200
            answer.close()
    assert not any("otp_totp" in each["sql"] or "django_session" in each["sql"] for each in asked)


def test_devices_have_no_pages_in_the_admin(chief):
    assert not [each for each in addresses() if "/otp_" in each]


def test_pages_of_the_staff_are_not_cached(chief):
    agent = User.objects.create_user("eva", is_staff=True)
    agent.user_permissions.set(Permission.objects.filter(codename="use_desk"))
    for path in ("/admin/", "/soporte/", "/cuenta/", "/cuenta/segundo-factor/"):
        assert "no-store" in logged_in(agent).get(path)["Cache-Control"]
