"""Audit of manual changes: who, what, before and after, when and from where. Entries are found by actor and by person,
and read in Spanish."""

import ast

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from clients.admin.audit_display import ACTION_NAMES
from clients.admin.audit_mixin import Audited
from clients.models import AuditEntry, Partner, audit
from conftest import make_applicant
from staff import login_audit
from testkit.packages import APPS, sources
from tests.factories import AuthorizedClientFactory, ExternalClientFactory, PartnerFactory, superuser_browser
from tokens.tests.hostile_codes import ask

pytestmark = pytest.mark.django_db

AUDIT = "/admin/clients/auditentry/"
PASSWORD = "una-clave-muy-larga-7"


@pytest.fixture
def boss():
    return superuser_browser()


def last(action):
    entry = AuditEntry.objects.get(action=action)
    assert (entry.actor, entry.address) == ("ana", "192.0.2.7")
    return {change["field"]: (change["before"], change["after"]) for change in entry.data["changes"]}


# --- manual changes ---------------------------------------------------------------------------------------------------


def saved(http, path, **fields):
    answer = http.post(path, fields)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    return answer


def test_a_change_of_a_partner_is_audited_with_before_and_after(boss):
    form = {"name": "Banco", "slug": "banco", "is_active": "on", "contracts": ["nopasanada"]}
    saved(boss, "/admin/clients/partner/add/", **form)
    assert last("partner.created")["slug"] == (None, "banco")
    partner = Partner.objects.get()
    inline = {"credentials-TOTAL_FORMS": "0", "credentials-INITIAL_FORMS": "0"}
    changed = {"name": "Banco", "contracts": ["nopasanada", "registry"], "requests_per_minute": "90", **inline}
    saved(boss, f"/admin/clients/partner/{partner.pk}/change/", **changed)
    assert last("partner.changed") == {
        "is_active": (True, False),
        "contracts": (["nopasanada"], ["nopasanada", "registry"]),
        "requests_per_minute": (None, 90),
    }
    saved(boss, f"/admin/clients/partner/{partner.pk}/change/", **changed)
    assert AuditEntry.objects.filter(action="partner.changed").count() == 1  # nothing changed, nothing written


def test_the_value_before_is_the_database_s_and_not_the_form_s(boss, monkeypatch):
    """Somebody else saved after the page was shown: their value is the one that was replaced."""
    from django.contrib.admin import ModelAdmin

    partner = PartnerFactory(name="Banco", contracts=["nopasanada"], requests_per_minute=10)
    plain = ModelAdmin.save_form

    def meanwhile(self, request, form, change):
        Partner.objects.filter(pk=partner.pk).update(requests_per_minute=20)
        return plain(self, request, form, change)

    monkeypatch.setattr(ModelAdmin, "save_form", meanwhile)
    saved(
        boss,
        f"/admin/clients/partner/{partner.pk}/change/",
        name="Banco",
        is_active="on",
        contracts=["nopasanada"],
        requests_per_minute="30",
        **{"credentials-TOTAL_FORMS": "0", "credentials-INITIAL_FORMS": "0"},
    )
    assert last("partner.changed") == {"requests_per_minute": (20, 30)}


def user_form(user, **changes):
    form = {"username": user.username, "first_name": "", "last_name": "", "email": "", "is_active": "on", **changes}
    return {name: value for name, value in form.items() if value is not None}


def test_a_change_of_a_user_s_roles_and_permissions_is_audited(boss):
    new = {"username": "luis", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    saved(boss, "/admin/auth/user/add/", **new)
    assert last("user.created")["username"] == (None, "luis")
    luis = User.objects.get(username="luis")
    support = Group.objects.get(name="Soporte")
    right = Permission.objects.get(codename="view_partner")
    form = user_form(luis, is_active=None, is_staff="on", is_superuser="on", groups=[support.pk])
    saved(boss, f"/admin/auth/user/{luis.pk}/change/", **form, user_permissions=[right.pk])
    assert last("user.changed") == {
        "is_active": (True, False),
        "is_staff": (False, True),
        "is_superuser": (False, True),
        "groups": ([], ["Soporte"]),
        "user_permissions": ([], ["view_partner"]),
    }
    saved(boss, f"/admin/auth/user/{luis.pk}/delete/", post="yes")
    assert last("user.deleted")["groups"] == (["Soporte"], None)
    nothing_secret()


def nothing_secret(*more):
    hashes = [value for value in User.objects.values_list("password", flat=True) if value]
    written = str(list(AuditEntry.objects.values()))
    for secret in (PASSWORD, *hashes, *more):
        assert secret not in written


def test_a_change_of_a_role_s_permissions_is_audited(boss):
    right = Permission.objects.get(codename="view_partner")
    saved(boss, "/admin/auth/group/add/", name="Caja", permissions=[right.pk])
    assert last("group.created")["permissions"] == (None, ["view_partner"])
    group = Group.objects.get(name="Caja")
    saved(boss, f"/admin/auth/group/{group.pk}/change/", name="Caja", permissions=[])
    assert last("group.changed") == {"permissions": (["view_partner"], [])}
    saved(boss, f"/admin/auth/group/{group.pk}/delete/", post="yes")
    assert last("group.deleted")["name"] == ("Caja", None)


def test_saving_a_role_takes_nothing_from_it(boss):
    """A permission that the form does not show would be lost at the first save."""
    for group in Group.objects.all():
        before = set(group.permissions.values_list("codename", flat=True))
        page = boss.get(f"/admin/auth/group/{group.pk}/change/")
        field = page.context["adminform"].form["permissions"]
        ticked = [str(key) for key in field.value()]
        assert set(map(int, ticked)) <= {int(str(value)) for value, _ in field.field.choices}
        saved(boss, f"/admin/auth/group/{group.pk}/change/", name=group.name, permissions=ticked)
        assert set(group.permissions.values_list("codename", flat=True)) == before


def test_a_new_password_is_audited_without_its_value(boss):
    luis = User.objects.create_user("luis", password="la-de-antes-12345")
    new = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert boss.post(f"/admin/auth/user/{luis.pk}/password/", {**new, "password2": "otra"}).status_code == 200
    assert not AuditEntry.objects.filter(action="user.password_changed").exists()
    assert boss.post(f"/admin/auth/user/{luis.pk}/password/", new).status_code == 302
    entry = AuditEntry.objects.get(action="user.password_changed")
    assert (entry.actor, entry.object_id, entry.data) == ("ana", str(luis.pk), {"usable": True})
    nothing_secret("la-de-antes-12345")
    page = boss.get(f"/admin/auth/user/{luis.pk}/change/").content.decode()
    luis.refresh_from_db()
    assert luis.password.split("$")[2][:6] not in page


def test_a_new_password_of_one_s_own_is_audited_too():
    User.objects.create_user("luis", password="la-de-antes-12345", is_staff=True)
    http = Client(REMOTE_ADDR="192.0.2.9")
    http.force_login(User.objects.get(username="luis"))
    form = {"old_password": "la-de-antes-12345", "new_password1": PASSWORD, "new_password2": PASSWORD}
    assert http.post("/admin/password_change/", form).status_code == 302
    entry = AuditEntry.objects.get(action="user.password_changed")
    assert (entry.actor, entry.address) == ("luis", "192.0.2.9")
    nothing_secret("la-de-antes-12345")


# --- login and logout -------------------------------------------------------------------------------------------------


def tries(http, name, password):
    return http.post("/admin/login/?next=/admin/", {"username": name, "password": password})


def acts():
    return list(AuditEntry.objects.order_by("id").values_list("action", "actor", "object_id", "address"))


def test_login_and_logout_are_audited(db):
    user = User.objects.create_user("luis", password=PASSWORD, is_staff=True)
    http = Client(REMOTE_ADDR="192.0.2.9")
    assert tries(http, "luis", PASSWORD).status_code == 302
    http.post("/admin/logout/")
    key = str(user.pk)
    assert acts() == [("staff.logged_in", "luis", key, "192.0.2.9"), ("staff.logged_out", "luis", key, "192.0.2.9")]
    nothing_secret()


def test_a_refused_login_is_audited_as_typed_without_the_password(db):
    user = User.objects.create_user("luis", password=PASSWORD, is_staff=True)
    http = Client(REMOTE_ADDR="192.0.2.9")
    tries(http, "luis", "no-es-esta")
    tries(http, "nadie" * 30, "no-es-esta")
    tries(http, "nadie" * 40, "no-es-esta")  # no name is that long, so no row is read
    assert acts() == [
        ("staff.login_failed", "luis", str(user.pk), "192.0.2.9"),
        ("staff.login_failed", "nadie" * 30, "", "192.0.2.9"),
    ]
    nothing_secret("no-es-esta")


def test_a_lockout_is_audited(db):
    http = Client(REMOTE_ADDR="192.0.2.9")
    for _ in range(6):
        tries(http, "luis", "no-es-esta")
    assert "staff.locked_out" in {act for act, *_ in acts()}
    assert "staff.logged_in" not in {act for act, *_ in acts()}


def test_failed_logins_write_a_bounded_number_of_entries(db, monkeypatch):
    monkeypatch.setattr(login_audit, "FAILURES_AN_HOUR", 3)
    for number in range(6):
        tries(Client(REMOTE_ADDR="192.0.2.9"), f"nadie{number}", "x")
    assert AuditEntry.objects.filter(address="192.0.2.9").count() == 3
    tries(Client(REMOTE_ADDR="192.0.2.10"), "otro", "x")
    assert AuditEntry.objects.filter(address="192.0.2.10").count() == 1


def test_a_login_by_the_api_is_audited_too(front):
    User.objects.create_user("luis", password=PASSWORD, is_staff=True)
    front.post("/auth/login", {"username": "luis", "password": "no"})
    front.post("/auth/login", {"username": "luis", "password": PASSWORD})
    assert [act for act, *_ in acts()] == ["staff.login_failed", "staff.logged_in"]


# --- superusers -----------------------------------------------------------------------------------------------------


def test_only_a_superuser_makes_or_touches_a_superuser():
    boss = User.objects.create_superuser("ana")
    clerk = User.objects.create_user("luis", is_staff=True)
    clerk.groups.add(Group.objects.get(name="Administradores"))
    http = Client()
    http.force_login(clerk)
    page = http.get(f"/admin/auth/user/{clerk.pk}/change/").content.decode()
    assert 'name="is_superuser"' not in page
    assert 'name="groups"' in page
    http.post(f"/admin/auth/user/{clerk.pk}/change/", user_form(clerk, is_staff="on", is_superuser="on"))
    clerk.refresh_from_db()
    assert not clerk.is_superuser
    new = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert http.post(f"/admin/auth/user/{boss.pk}/password/", new).status_code == 403
    assert http.post(f"/admin/auth/user/{boss.pk}/delete/", {"post": "yes"}).status_code == 403
    assert http.post(f"/admin/auth/user/{boss.pk}/change/", user_form(boss)).status_code == 403


# --- the page ---------------------------------------------------------------------------------------------------------


def found(http, term, **more):
    rows = http.get(AUDIT, {"q": term, **more}).context["cl"].result_list
    return sorted(row.reason for row in rows)


def test_entries_are_found_by_who_and_by_whom_they_are_about(boss):
    person = make_applicant("12345678", email="juan@correo.pe")
    ask(person, phone="987654321")
    client = AuthorizedClientFactory(email="rosa@correo.pe", document_number="87654321", phone="911111111")
    outside = ExternalClientFactory(partner=client.partner, client_id="CL1", cui="2380033370713")
    at = timezone.now()
    for row, by, address, why in (
        (person, "luis", "192.0.2.1", "juan"),
        (client, "eva", "192.0.2.2", "rosa"),
        (outside, "eva", "2001:db8::1", "cl1"),
    ):
        audit(row, "applicant.unlocked", at=at, by=by, reason=why, address=address)
    for term, who in (
        ("luis", ["juan"]),
        ("eva", ["cl1", "rosa"]),
        (str(person.pk), ["juan"]),
        ("192.0.2.2", ["rosa"]),
        ("2001:db8::1", ["cl1"]),
        ("juan@correo.pe", ["juan"]),
        ("JUAN@correo.pe ", ["juan"]),
        ("987654321", ["juan"]),
        ("+51 987 654 321", ["juan"]),
        ("12345678", ["juan"]),
        ("rosa@correo.pe", ["rosa"]),
        ("911111111", ["rosa"]),
        ("87654321", ["rosa"]),
        ("2380033370713", ["cl1"]),
        ("CL1", ["cl1"]),
        ("nadie", []),
    ):
        assert found(boss, term) == who, term
    assert found(boss, "eva", accion="applicant.unlocked") == ["cl1", "rosa"]
    assert found(boss, "eva", accion="ladder.forgiven") == []
    assert found(boss, "eva", at__year="2020") == []


def test_before_and_after_are_read_in_words(boss):
    partner = PartnerFactory(name="Banco")
    changes = [
        {"field": "is_active", "before": True, "after": False},
        {"field": "contracts", "before": ["nopasanada"], "after": ["nopasanada", "registry"]},
        {"field": "created_at", "before": None, "after": "2026-02-12T15:30:00+00:00"},
    ]
    entry = audit(partner, "partner.changed", at=timezone.now(), by="eva", changes=changes)
    html = boss.get(f"{AUDIT}{entry.pk}/change/").content.decode()
    for words in (
        "Empresa modificada",
        "Activa",
        "<td>sí</td><td>no</td>",
        "NoPasaNadaPE v1, Registro externo",
        "12/02/2026 10:30:00",
    ):
        assert words in html, words
    assert "activa, contratos, creada" in boss.get(AUDIT).content.decode()
    assert (
        "NoPasaNadaPE v1, Registro externo"
        in boss.get(f"/admin/clients/partner/{partner.pk}/history/").content.decode()
    )


def test_nobody_changes_an_entry(boss):
    entry = audit(PartnerFactory(name="B"), "partner.changed", at=timezone.now(), by="eva")
    assert boss.post(f"{AUDIT}{entry.pk}/change/", {"actor": "otro"}).status_code == 403
    assert boss.post(f"{AUDIT}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    boss.post(AUDIT, {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"})
    assert AuditEntry.objects.get(pk=entry.pk).actor == "eva"


def written_acts():
    """Actions in the code: each text literal that is passed to the audit."""
    for path in sources(*APPS):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in ("audit", "_write", "_refusal"):
                texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield from (text for text in texts if isinstance(text, str) and "." in text)


def test_every_action_has_a_spanish_name():
    from messaging.models import Campaign

    texts = set(written_acts())
    assert len(texts) > 15
    states = {f"campaign.{state.lower()}" for state in Campaign.State.values} - {"campaign.done"}
    pages = [page.audited_as for page in admin.site._registry.values() if isinstance(page, Audited)]
    saved = {f"{name}.{verb}" for name in pages for verb in ("created", "changed", "deleted")}
    assert len(pages) >= 4
    assert texts | states | saved <= set(ACTION_NAMES)
