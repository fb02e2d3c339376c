"""Page of the dashboard: the panels of each role, escaped text, its number of statements, and a panel that fails."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.rate_limits.redis_client import connection as redis_connection
from external_api.models import APIS
from messaging.models import ProviderState
from support.dashboard import figures
from support.tests.days_rows import HOSTILE, call, sent, token
from tests.factories import ApiRequestFactory, PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db


def member(role=None, **changes):
    return staff_browser(roles=(role,) if role else (), **changes)


def index(http):
    answer = http.get("/admin/")
    assert answer.status_code == 200
    return answer.content.decode()


PANELS = {"codes", "conversion", "times", "failures", "queues", "providers", "waits", "traffic"}


def panels_on(page):
    return {name for name in PANELS if f'id="board-{name}"' in page}


@pytest.mark.parametrize("role", ["Administradores", "Operaciones", "Auditores"])
def test_roles_that_see_the_rows_see_the_figures(role):
    page = index(member(role))
    assert panels_on(page) == PANELS
    assert "/admin/clients/partner/" in page, "the lists are still a click away"


def test_agents_of_the_desk_are_redirected_to_it():
    answer = member("Soporte").get("/admin/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/soporte/")


def test_an_agent_who_may_see_something_here_stays_and_is_told_of_the_desk():
    page = index(staff_browser("use_desk", "view_partner"))
    assert panels_on(page) == set()
    assert 'href="/soporte/"' in page


@pytest.mark.parametrize(
    ("permissions", "seen"),
    [
        ([], set()),
        (["view_verificationtoken"], {"times"}),
        (["view_message"], {"queues", "failures"}),
        (["view_verificationtoken", "view_message"], {"codes", "conversion", "times", "failures", "queues"}),
        (["view_apirequest"], set()),
        (["view_apirequest", "view_partner"], {"traffic"}),
        (["view_providerstate"], {"providers"}),
        (["view_verificationtoken", "view_applicant"], {"times", "waits"}),
    ],
    ids=[*"12345678"],  # a set is written in another order each time
)
def test_who_may_not_open_the_rows_does_not_see_what_they_add_up_to(permissions, seen):
    http = member()
    User.objects.get().user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert panels_on(index(http)) == seen


def test_a_day_without_rows_is_a_page_without_faults():
    page = index(member("Operaciones"))
    assert "— de los pedidos" in page
    assert "Ninguna todavía." in page
    assert "None" not in page
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_the_page_shows_numbers_labels_and_their_time():
    now = timezone.now()
    for _ in range(3):
        token(now - timedelta(microseconds=5), message="DELIVERED")
    page = index(member("Operaciones"))
    assert "100.0 % de los pedidos" in page
    assert "A las <time" in page
    assert now.astimezone(figures.LIMA).strftime("%d/%m/%Y") in page
    for described in ("<title id=", "<desc id=", 'role="img"', "Ver los números por hora"):
        assert described in page


def test_text_of_others_is_escaped():
    bank = PartnerFactory(name=HOSTILE, slug="banco")
    now = timezone.now()
    call(now - timedelta(microseconds=5), partner=bank)
    sent(now - timedelta(microseconds=5), state="FAILED", reply=HOSTILE)
    ProviderState.objects.create(name=HOSTILE, set_aside_at=now, reason=HOSTILE)
    page = index(member("Administradores"))
    board = page[page.index('class="board"') : page.index("board-all")]
    assert "<script" not in board
    assert "&lt;script&gt;alert" in board
    assert "{{ 7|add:7 }}" in board


def test_the_page_takes_one_statement_for_each_panel_and_none_while_they_are_cached():
    http = member("Operaciones")
    redis_connection().flushdb()
    with CaptureQueriesContext(connection) as first:
        index(http)
    with CaptureQueriesContext(connection) as second:
        index(http)
    assert len(first) - len(second) == len(figures.PANELS)
    assert len(second) < 15


def test_a_panel_that_times_out_does_not_break_the_page(monkeypatch, caplog):
    def slow(*, at):
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setitem(figures.PANELS, "traffic", slow)
    page = index(member("Operaciones"))
    assert "No se pudo calcular ahora." in page
    assert panels_on(page) == PANELS
    assert "a panel of the dashboard failed" in caplog.text


def test_the_page_loads_nothing_from_other_sites_and_has_no_script_of_ours():
    token(timezone.now() - timedelta(seconds=1))
    page = index(member("Operaciones"))
    board = page[page.index('class="board"') : page.index("board-all")]
    assert "<script" not in board
    assert "http" not in board
    assert "style=" not in board


def test_the_panels_renew_themselves_from_an_address_of_their_own():
    """The page's script asks for them; the header keeps an open screen from counting as use."""
    http = member("Operaciones")
    page = index(http)
    assert 'data-refresh="/admin/tablero/" data-every="30"' in page
    assert "aval/refresh.js" in page
    answer = http.get("/admin/tablero/", headers={"Aval-Poll": "1"})
    panels = answer.content.decode()
    assert panels_on(panels) == PANELS
    assert "<html" not in panels
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_new_row_is_in_the_panels_that_the_script_asks_for():
    http = member("Operaciones")
    before = http.get("/admin/tablero/").content.decode()
    token(timezone.now() - timedelta(microseconds=5), message="DELIVERED")
    redis_connection().flushdb()
    assert "100.0 % de los pedidos" not in before
    assert "100.0 % de los pedidos" in http.get("/admin/tablero/").content.decode()


@pytest.mark.parametrize("role", ["Soporte", None])
def test_who_sees_no_panel_gets_none_from_their_address(role):
    assert member(role).get("/admin/tablero/").status_code == 403


@pytest.mark.parametrize(("name", "label"), APIS)
def test_calls_of_every_api_are_on_the_first_page(name, label):
    ApiRequestFactory(contract=name, action="me")
    page = superuser_browser().get("/admin/")
    assert page.status_code == 200
    assert label in page.text
