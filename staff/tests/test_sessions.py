"""End of a staff session: idle, after a working day, and with the password or account that it was opened with."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from staff.session_store import row_of

pytestmark = pytest.mark.django_db
PASSWORD = "una clave  larga"


@pytest.fixture(autouse=True)
def limits(settings):
    settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS = 30, 8


@pytest.fixture
def http():
    User.objects.create_superuser("jefa", password=PASSWORD)
    http = Client()
    http.post("/admin/login/", {"username": "jefa", "password": PASSWORD})
    assert http.get("/admin/").status_code == 200
    return http


def back(http, *, seen, began=None):
    """Move the session's times back."""
    session = http.session
    session["staff_seen"] -= seen.total_seconds()
    session["staff_began"] -= (began or seen).total_seconds()
    session.save()


def test_a_session_goes_on_while_it_is_used(http):
    for _ in range(3):
        back(http, seen=timedelta(minutes=29))
        assert http.get("/admin/").status_code == 200
    assert timezone.now().timestamp() - http.session["staff_seen"] < 5


def test_an_idle_session_ends_and_the_login_page_says_so(http):
    back(http, seen=timedelta(minutes=30))
    key = http.session.session_key
    answer = http.get("/soporte/?q=987654321")
    assert answer["Location"] == "/admin/login/?next=/soporte/%3Fq%3D987654321&motivo=inactividad"
    assert not Session.objects.filter(session_key=row_of(key)).exists(), "it is gone at the server too"
    page = http.get(answer["Location"]).content.decode()
    assert "Su sesión terminó: pasó 30 minutos sin usarla." in page
    answer = http.post("/admin/login/", {"username": "jefa", "password": PASSWORD, "next": "/soporte/?q=987654321"})
    assert answer["Location"] == "/soporte/?q=987654321"


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"desde_fila": "2026-01-01T00:00:00+00:00_x"}, {}),
        ({}, {"Sec-Fetch-Mode": "cors"}),
        ({}, {"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty"}),
        ({}, {"X-Requested-With": "XMLHttpRequest"}),
        ({}, {"HX-Request": "true", "Aval-Poll": "1"}),
        ({"desde_fila": "x"}, {"HX-Request": "true"}),
    ],
    ids=str,
)
def test_a_request_that_a_page_makes_by_itself_is_no_activity(http, query, headers):
    back(http, seen=timedelta(minutes=20))
    seen = http.session["staff_seen"]
    assert http.get("/soporte/mensajes/", query, headers=headers).status_code == 200
    assert http.session["staff_seen"] == seen
    back(http, seen=timedelta(minutes=10))
    answer = http.get("/soporte/mensajes/", query, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == "Su sesión terminó. Ingrese de nuevo."


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "navigate"}, {"HX-Request": "true"}], ids=str)
def test_a_click_is_activity(http, headers):
    back(http, seen=timedelta(minutes=20))
    seen = http.session["staff_seen"]
    http.get("/soporte/", headers=headers)
    assert http.session["staff_seen"] > seen + 1000


def test_a_form_that_a_script_sends_is_activity(http):
    back(http, seen=timedelta(minutes=20))
    seen = http.session["staff_seen"]
    http.post("/admin/clients/partner/", {}, headers={"Sec-Fetch-Mode": "cors"})
    assert http.session["staff_seen"] > seen + 1000


def test_activity_is_not_stored_at_every_request(http):
    seen = http.session["staff_seen"]
    http.get("/admin/")
    assert http.session["staff_seen"] == seen


def test_a_session_ends_after_a_working_day_even_in_use(http):
    back(http, seen=timedelta(), began=timedelta(hours=7, minutes=59))
    assert http.get("/admin/").status_code == 200
    back(http, seen=timedelta(), began=timedelta(minutes=1))
    answer = http.get("/admin/")
    assert answer["Location"].endswith("motivo=duracion")
    assert "duró 8 horas, lo máximo" in http.get(answer["Location"]).content.decode()


def test_a_changed_password_ends_the_other_sessions(http):
    other = Client()
    other.post("/admin/login/", {"username": "jefa", "password": PASSWORD})
    new = "otra clave  larga 2"
    answer = http.post(
        "/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    )
    assert answer.status_code == 302, answer.content
    assert http.get("/admin/").status_code == 200
    assert other.get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}], ids=str)
def test_a_deactivated_account_is_logged_out_at_the_next_request(http, change):
    User.objects.update(**change)
    for path in ("/admin/", "/soporte/", "/cuenta/"):
        assert http.get(path)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("page", ["/admin/", "/soporte/"])
def test_logging_out_ends_the_session(http, page):
    assert 'action="/admin/logout/"' in http.get(page).content.decode()
    key = http.session.session_key
    answer = http.post("/admin/logout/")
    assert "Salió de su sesión." in http.get(answer["Location"]).content.decode()
    assert not Session.objects.filter(session_key=row_of(key)).exists()
    assert http.get(page)["Location"] == f"/admin/login/?next={page}"


def test_a_login_has_a_session_of_its_own():
    User.objects.create_superuser("jefa", password=PASSWORD)
    http = Client()
    session = http.session
    session["planted"] = "by somebody else"
    session.save()
    before = http.session.session_key
    http.post("/admin/login/", {"username": "jefa", "password": PASSWORD})
    first = http.session.session_key
    assert first != before
    assert "planted" not in http.session
    http.post("/admin/login/", {"username": "jefa", "password": PASSWORD})
    assert http.session.session_key not in (before, first), "also for who was logged in already"


def test_the_session_cookie_is_not_for_scripts_nor_for_other_sites(http, settings):
    cookie = http.cookies["aval_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    settings.SESSION_COOKIE_SECURE = True
    other = Client()
    other.post("/admin/login/", {"username": "jefa", "password": PASSWORD})
    assert other.cookies["aval_session"]["secure"]
