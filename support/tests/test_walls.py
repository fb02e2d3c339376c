"""Access of each role: no URL opens by a guess or takes a form that the role does not grant, over the whole URL map
with real rows and guessed ids."""

import re
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User

from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient
from staff.middleware import GUARDED_PATHS, LOGIN
from support.tests.cast import everything
from support.tests.url_map import ACTION_NAMES, FORM, body_of, filled, names_of, real, routes, state
from tests.factories import StaffUserFactory, browser

pytestmark = pytest.mark.django_db
SECRET = "quispecusi"
"""Part of every text about a person."""
GUESSES = ("1", "99999999999999999999", str(UUID(int=1)), "add")


@pytest.fixture
def rows(db):
    everything(SECRET, [1])


def member(*roles, name="eva", **flags):
    return StaffUserFactory(username=name, roles=roles, **flags)


def logged_in(user, **more):
    return browser(user, raise_request_exception=False, **more)


def guessed():
    for route in routes():
        if route.startswith(GUARDED_PATHS) and names_of(route):
            for guess in GUESSES:
                yield filled(route, dict.fromkeys(names_of(route), guess))


OWN = (
    "/admin/",
    "/admin/search/",
    "/admin/jsi18n/",
    "/admin/password_change/",
    "/admin/password_change/done/",
    "/cuenta/",
    "/cuenta/segundo-factor/",
)
"""Pages that all staff may open: the first page, and their own account."""


def desk():
    """URLs that the permission to use the desk opens."""
    kinds = [("cliente", Applicant), ("autorizado", AuthorizedClient), ("externo", ExternalClient)]
    cases = [f"/soporte/caso/{kind}/{model.objects.first().pk}/" for kind, model in kinds]
    return {"/soporte/", "/soporte/mensajes/", "/soporte/mensajes.csv", *cases}


def opened(http, paths):
    """Return the URLs that open, and assert that the others show no data and no server error."""
    found = set()
    for path in paths:
        answer = http.get(path)
        text = body_of(answer).decode(errors="replace")
        assert answer.status_code in (200, 302, 403, 404, 405), (path, answer.status_code)
        if answer.status_code == 200:
            found.add(path)
        else:
            assert SECRET not in text, path
    return found


def test_the_url_map_is_read_with_rows_that_are_there(rows):
    found = list(real())
    assert len(found) > 90
    assert not [each for each in found if re.search(r"[<>^$(]", each)]
    assert {"/soporte/", "/admin/", f"/admin/clients/applicant/{Applicant.objects.get().pk}/history/"} <= set(found)


def test_support_opens_the_desk_and_nothing_else(rows):
    http = logged_in(member("Soporte"))
    assert opened(http, real()) == ({*OWN} - {"/admin/"}) | desk()
    assert http.get("/admin/").headers["Location"] == "/soporte/", "their work is there"
    assert opened(http, guessed()) <= {"/soporte/caso/autorizado/1/"}


def test_a_member_without_a_role_opens_only_their_account(rows):
    assert opened(logged_in(member()), real()) == {*OWN}


def tried(http, paths):
    for path in paths:
        answer = http.post(path, FORM)
        assert answer.status_code in (200, 302, 403, 404, 405), (path, answer.status_code)
        assert SECRET not in body_of(answer).decode(errors="replace"), path


def beyond(*granted):
    """URLs whose forms a role does not grant. Those of one's own account have tests of their own."""
    return [
        each
        for each in real()
        if each not in LOGIN
        and each != "/admin/logout/"
        and not each.startswith(("/cuenta/segundo-factor/", "/admin/password_change/"))
        and not any(re.search(what, each) for what in granted)
    ] + [each for each in real() if "/restablecer/" in each]


@pytest.mark.parametrize(
    ("role", "granted"),
    [([], []), (["Soporte"], [rf"/caso/.*/({'|'.join(ACTION_NAMES)}|mostrar)/"]), (["Auditores"], [r"/exportar\."])],
    ids=["no role", "Soporte", "Auditores"],
)
def test_a_form_that_a_role_does_not_grant_does_nothing(rows, role, granted):
    http = logged_in(member(*role))
    paths = beyond(*granted)
    before = state()
    if role == ["Auditores"]:
        for path in paths:
            assert http.post(path, FORM).status_code in (200, 302, 403, 404, 405), path
    else:
        tried(http, paths)
    assert state() == before


def test_auditors_change_nothing_from_a_list(rows):
    """Post each action of every list as somebody who may see the list."""
    http = logged_in(member("Auditores"))
    boss = logged_in(member(name="jefa", is_superuser=True))
    before, tries = state(), 0
    for path in [each for each in real() if re.fullmatch(r"/admin/(?!password)\w+/\w+/", each)]:
        page = boss.get(path)
        cl = page.context.get("cl") if page.context else None
        row = cl.queryset.first() if cl is not None else None
        for action in {"delete_selected", *re.findall(r'<option value="(\w+)"', page.content.decode())}:
            tries += 1
            body = {**FORM, "action": action, "_selected_action": [str(row.pk) if row else "1"], "index": "0"}
            assert http.post(path, body).status_code in (200, 302, 403, 405), (path, action)
    assert tries > 15
    assert state() == before


def test_operations_cannot_open_users_keys_or_the_audit(rows):
    http = logged_in(member("Operaciones"))
    theirs = [each for each in real() if re.search(r"/admin/auth/|/auditentry/|/credencial/|/restablecer/", each)]
    assert len(theirs) > 15
    before = state()
    assert opened(http, theirs) == set()
    for path in theirs:
        assert http.post(path, FORM).status_code in (302, 403, 404, 405), path
    assert state() == before


def form_of(http, path):
    """Fields of the form, as a browser would send them back."""
    form = http.get(path).context["adminform"].form
    return {name: value for name, value in ((each, form[each].value()) for each in form.fields) if value is not None}


def test_administrators_make_no_superuser_and_change_none(rows):
    boss, eva = User.objects.create_superuser("jefa", password="la clave de la jefa"), member("Administradores")
    every = [each.pk for each in Permission.objects.all()]
    http = logged_in(eva)
    mine = f"/admin/auth/user/{eva.pk}/change/"
    answer = http.post(
        mine, {**form_of(http, mine), "first_name": "Eva", "is_superuser": "on", "user_permissions": every}
    )
    eva.refresh_from_db()
    assert (answer.status_code, eva.first_name) == (302, "Eva"), "the form was taken"
    assert (eva.is_superuser, eva.user_permissions.count()) == (False, 0)
    new = {
        "username": "otra",
        "password1": "una clave larga 9",
        "password2": "una clave larga 9",
        "usable_password": "true",
        "is_superuser": "on",
        "is_staff": "on",
    }
    http.post("/admin/auth/user/add/", new)
    assert User.objects.filter(username="otra").exists(), "administrators may make users"
    assert not User.objects.filter(is_superuser=True).exclude(pk=boss.pk).exists()
    before = state()[1]
    for what in ("change", "password", "delete"):
        assert http.post(f"/admin/auth/user/{boss.pk}/{what}/", {**FORM, **new}).status_code in (302, 403), what
    assert http.post(f"/cuenta/segundo-factor/restablecer/{boss.pk}/", FORM).status_code == 403
    assert [each for each in state()[1] if each[0] == "auth_user"] == [
        each for each in before if each[0] == "auth_user"
    ]


def test_a_form_sent_by_another_site_is_refused(rows):
    http = logged_in(member(name="jefa", is_superuser=True), enforce_csrf_checks=True)
    before = state()
    for path in [*real(), *LOGIN]:
        assert http.post(path, FORM).status_code == 403, path
    assert state() == before


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_a_session_opens_nothing_of_the_staff_s_api(rows, method):
    http = logged_in(member(name="jefa", is_superuser=True))
    key = Applicant.objects.get().pk
    paths = [filled(each, {"client": key}) for each in routes() if each.startswith("/v1/api^/admin/")]
    assert len(paths) == 3
    for path in paths:
        answer = getattr(http, method)(path)
        assert answer.status_code == 401, path
        assert SECRET not in answer.content.decode()


def test_pages_are_not_cached_even_when_they_refuse(rows):
    boss, eva = logged_in(member(name="jefa", is_superuser=True)), logged_in(member("Soporte"))
    answers = []
    for path, who in [(path, who) for path in real() for who in (boss, eva)]:
        answer = who.get(path)
        assert "no-store" in answer.headers.get("Cache-Control", ""), (path, answer.status_code)
        body_of(answer)  # read to the end, an export frees its slot
        answers.append((who, answer.status_code))
    assert answers.count((boss, 200)) > 60, "the addresses are those of rows that are there"


def test_an_account_s_number_cannot_be_guessed_from_how_it_is_refused(rows):
    http = logged_in(member("Soporte"))
    there = User.objects.order_by("pk").first().pk
    answers = [http.get(f"/cuenta/segundo-factor/restablecer/{pk}/") for pk in (there, 99_999_999)]
    assert [each.status_code for each in answers] == [403, 403]


def test_only_an_entry_of_an_erasure_is_shown_as_one(rows):
    http = logged_in(member(name="jefa", is_superuser=True))
    for entry in AuditEntry.objects.all():
        assert http.get(f"/soporte/borrado/{entry.pk}/").status_code == 404
