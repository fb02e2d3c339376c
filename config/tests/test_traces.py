"""Log lines of a request: a fault has one traceback with route, user and id, a denied page one line, and neither holds
personal data."""

import json
import logging
import re

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.test import Client

from clients.models import Applicant
from config.logs import scrubbed
from conftest import make_applicant
from external_api.informaperu.staff_tokens import issue_for

pytestmark = pytest.mark.django_db

SECRET = "quispecusi"
NUMBER = "987654321"


@pytest.fixture
def superuser(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    http = Client(raise_request_exception=False)
    http.force_login(User.objects.create_superuser("jefa"))
    return http


def raise_duplicate_row(*_, **__):
    """Raise PostgreSQL's error for a duplicate row."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS held (mail text UNIQUE)")
        cursor.execute("INSERT INTO held VALUES (%s), (%s)", [f"{SECRET}@correo.example"] * 2)


def raise_with_data(broken):
    raise RuntimeError(f"nothing for {SECRET}, {NUMBER} or {SECRET}@correo.example")


def raise_with_arguments(*args, **more):
    raise_with_data(args)


def traces(lines):
    return [line for line in lines() if line["level"] in ("ERROR", "CRITICAL")]


PAGES = [
    ("support.cases.person_search.find", f"/soporte/?q={SECRET}", "soporte/", "jefa"),
    ("support.cases.views.row_of", f"/soporte/caso/cliente/{SECRET}/", "soporte/caso/<slug:kind>/<slug:key>/", "jefa"),
    ("staff.account_views.page", f"/cuenta/?x={SECRET}", "cuenta/", "jefa"),
    ("subscription.views.page", f"/suscripcion/?x={SECRET}", "suscripcion/", ""),
    (
        "subscription.views.withdrawing.client_of_link",
        f"/suscripcion/baja/{SECRET}",
        "suscripcion/baja/<str:token>",
        "",
    ),
]


@pytest.mark.parametrize("fault", [raise_duplicate_row, raise_with_data], ids=["of the database", "of our own"])
@pytest.mark.parametrize(("where", "path", "route", "user"), PAGES, ids=[page[2] for page in PAGES])
def test_a_fault_of_a_page_leaves_one_trace(monkeypatch, superuser, lines, where, path, route, user, fault):
    monkeypatch.setattr(where, lambda *args, **more: fault(args))
    http = superuser if user else Client(raise_request_exception=False)
    answer = http.get(path)
    assert answer.status_code == 500
    (trace,) = traces(lines)
    assert (trace["route"], trace["user"], trace["request_id"]) == (route, user, answer["Request-Id"])
    assert "Traceback" not in trace["message"]
    assert where.rsplit(".", 1)[0].split(".")[0] in trace["exc_info"]
    assert "test_traces.py" in trace["exc_info"]
    text = json.dumps(lines())
    assert SECRET not in text
    assert NUMBER not in text
    assert "anotado" in answer.content.decode()


def test_a_fault_of_an_admin_page_leaves_one_trace(monkeypatch, superuser, lines):
    key = make_applicant().pk
    monkeypatch.setattr("clients.models.Applicant.__str__", raise_with_data)
    answer = superuser.get(f"/admin/clients/applicant/{key}/change/?x={SECRET}")
    assert answer.status_code == 500
    (trace,) = traces(lines)
    assert trace["route"].endswith("<path:object_id>/change/")
    assert str(key) not in json.dumps(lines())
    assert SECRET not in json.dumps(lines())


@pytest.mark.parametrize("middleware", ["external_api.middleware.OverloadGuard", "staff.middleware.Guard"])
def test_a_fault_of_a_middleware_leaves_one_trace(monkeypatch, lines, middleware):
    monkeypatch.setattr(f"{middleware}.__call__", lambda self, request: raise_with_data(request))
    answer = Client(raise_request_exception=False).get("/soporte/")
    assert answer.status_code == 500
    (trace,) = traces(lines)
    assert trace["request_id"] == answer["Request-Id"]


def test_a_fault_of_a_contract_leaves_one_trace(monkeypatch, lines):
    key = make_applicant().pk
    monkeypatch.setattr("external_api.informaperu.views.services.verify", lambda *args, **more: raise_with_data(args))
    answer = Client(raise_request_exception=False).get(f"/v1/api/client/{key}/verify/Q7ZX")
    assert answer.status_code == 500
    (trace,) = traces(lines)
    assert "verify/(?P<token>" in trace["route"]
    assert trace["request_id"] == answer["Request-Id"]
    text = json.dumps(lines())
    for secret in (NUMBER, "Q7ZX"):
        assert secret not in text
    assert str(key) not in json.dumps(trace)


def test_a_fault_of_the_staff_api_names_its_user(monkeypatch, superuser, lines):
    from datetime import UTC, datetime

    token = issue_for(User.objects.get(), at=datetime.now(UTC))
    monkeypatch.setattr("external_api.informaperu.staff.page", raise_with_arguments)
    answer = Client().get(f"/v1/api/admin/clients?documento={NUMBER}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 500
    (trace,) = traces(lines)
    assert trace["user"] == "jefa"
    assert "RuntimeError" in trace["exc_info"]
    assert NUMBER not in json.dumps(lines())
    assert token not in json.dumps(lines())


def test_a_denied_page_is_logged_with_who_asked_for_it(settings, lines):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    http = Client(raise_request_exception=False)
    http.force_login(User.objects.create_user("eva", is_staff=True))
    for path in ("/soporte/mensajes/", f"/admin/clients/applicant/{make_applicant().pk}/change/"):
        answer = http.get(path)
        assert answer.status_code == 403
        denied = [line for line in lines() if line["message"] == "denied"][-1]
        assert (denied["user"], denied["request_id"]) == ("eva", answer["Request-Id"])
        assert denied["route"].endswith(("soporte/mensajes/", "<path:object_id>/change/"))
    assert str(Applicant.objects.get().pk) not in json.dumps(lines())


@pytest.mark.parametrize(
    "path", ["/nada", "/soporte/", "/v1/api/status", "/api/v1", "/static/aval/icon.svg", "/admin/login/"]
)
def test_every_answer_has_an_id_of_its_own(path):
    answers = [Client(raise_request_exception=False).get(path) for _ in range(2)]
    ids = [answer["Request-Id"] for answer in answers]
    for answer in answers:
        answer.close()
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert ids[0] != ids[1]


def test_an_id_that_a_caller_sends_is_not_taken():
    assert Client().get("/nada", headers={"Request-Id": "x\nforged"})["Request-Id"] != "x\nforged"


def test_a_line_of_django_names_no_address(lines):
    http = Client(raise_request_exception=False)
    http.post("/admin/login/?next=" + SECRET, {"x" * 5: SECRET, **{f"f{n}": SECRET for n in range(1100)}})
    http.get(f"/nada/{SECRET}?{SECRET}", headers={"Host": "otro.example"})
    assert SECRET not in json.dumps(lines())


def test_what_the_server_says_of_a_row_is_left_out_everywhere(lines):
    with pytest.raises(IntegrityError) as caught:
        raise_duplicate_row()
    log = logging.getLogger("x")
    log.error("kept", extra={"fault": repr(caught.value)})
    log.error("a task failed: %s", caught.value)
    log.error("a task failed", exc_info=caught.value)
    assert SECRET not in json.dumps(lines())
    assert all("held_mail_key" in json.dumps(line) for line in lines())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            'duplicate key value violates unique constraint "one"\nDETAIL:  Key (a)=(b) exists.',
            'duplicate key value violates unique constraint "one"',
        ),
        ('invalid input syntax for type uuid: "ana"\nLINE 1: SELECT 1', "invalid input syntax for type uuid: ***"),
        ("invalid literal for int() with base 10: 'ana'", "invalid literal for int() with base 10: ***"),
        ("no route to ana@correo.example", "no route to ***"),
        ("'NoneType' object has no attribute 'pk'", "'NoneType' object has no attribute 'pk'"),
        ("asked for 12345", "asked for 12345"),
    ],
)
def test_of_a_fault_s_text_what_is_nobody_s_stays(text, left):
    assert scrubbed(text) == left
