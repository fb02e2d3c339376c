"""Pages of the admin for partners' keys. A secret is shown once, and is in no page, row or log afterwards."""

import logging
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from clients.credentials import authenticate
from clients.errors import CredentialRefused
from clients.models import AuditEntry, Credential, Partner
from tests.factories import CredentialFactory, PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db

PARTNERS = "/admin/clients/partner/"


@pytest.fixture
def partner():
    return PartnerFactory(name="Financiera")


@pytest.fixture
def boss():
    return superuser_browser()


def page(http, url):
    answer = http.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def ticket_in(html):
    return re.search(r'name="ticket" value="([^"]+)"', html)[1]


def issue_url(partner):
    return reverse("admin:clients_partner_issue", args=[partner.pk])


def issue(http, partner, kind="opaque", **fields):
    body = {"ticket": ticket_in(page(http, issue_url(partner))), "kind": kind, **fields}
    return http.post(issue_url(partner), body), body


def secret_in(answer):
    assert answer.status_code == 200
    return unescape(re.search(r'<textarea id="secret"[^>]*>([^<]+)</textarea>', answer.content.decode())[1])


def revoke_url(credential):
    return reverse("admin:clients_partner_revoke", args=[credential.partner_id, credential.pk])


def whole_database():
    """Return every row of every table as text."""
    tables = [table for table in connection.introspection.table_names() if table != "django_migrations"]
    with connection.cursor() as cursor:
        rows = []
        for table in tables:
            cursor.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_a_key_is_shown_once_and_opens(boss, partner, kind):
    answer, _ = issue(boss, partner, kind)
    secret = secret_in(answer)
    credential = authenticate(secret, at=timezone.now())
    assert (credential.partner, credential.kind) == (partner, kind)
    assert "no-store" in answer["Cache-Control"]
    assert "Copiar" in answer.content.decode()


def test_the_page_with_the_secret_uses_nothing_from_outside(boss, partner):
    html = issue(boss, partner)[0].content.decode()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "opaque",
            "Vale en NoPasaNadaPE v1 (la empresa no tiene este contrato) y en InformaPerú. "
            "Para Registro externo hace falta un JWT.",
        ),
        (
            "jwt",
            "Vale en InformaPerú y en Registro externo (la empresa no tiene este contrato). "
            "Para NoPasaNadaPE v1 hace falta un token opaco.",
        ),
    ],
)
def test_the_page_says_where_the_key_is_accepted_and_where_the_guide_is(boss, partner, settings, kind, text):
    settings.PUBLIC_URL = "https://aval.pe"
    Partner.objects.filter(pk=partner.pk).update(contracts=["informaperu"])
    first = issue(boss, partner, kind)[0].content.decode()
    key = partner.credentials.get()
    url = reverse("admin:clients_partner_rotate", args=[partner.pk, key.pk])
    second = boss.post(url, {"ticket": ticket_in(page(boss, url)), "hours": 0, "reason": "x"}).content.decode()
    for html in (first, second):
        assert text in re.sub("<[^>]+>", "", html)
        assert '<a href="/referencia/guia/">https://aval.pe/referencia/guia/</a>' in html


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_reloading_neither_shows_it_again_nor_issues_another(boss, partner, kind):
    answer, body = issue(boss, partner, kind)
    secret = secret_in(answer)
    again = boss.post(issue_url(partner), body, follow=True)
    assert secret not in again.content.decode()
    assert "se muestra una sola vez" in again.content.decode()
    assert secret not in page(boss, issue_url(partner))
    assert Credential.objects.count() == 1


@pytest.mark.parametrize("ticket", [None, "", "x", "ñ"])
def test_a_form_that_did_not_come_from_its_page_issues_nothing(boss, partner, ticket):
    page(boss, issue_url(partner))
    body = {"kind": "opaque"} | ({} if ticket is None else {"ticket": ticket})
    assert boss.post(issue_url(partner), body).status_code == 302
    assert not Credential.objects.exists()


@pytest.mark.parametrize("kind", Credential.Kind.values)
def test_the_secret_is_nowhere_afterwards(boss, partner, kind, caplog):
    caplog.set_level(logging.DEBUG)
    secret = secret_in(issue(boss, partner, kind)[0])
    signature = secret.rpartition(".")[2]
    pages = [
        page(boss, url)
        for url in (
            "/admin/",
            PARTNERS,
            f"{PARTNERS}{partner.pk}/change/",
            f"{PARTNERS}{partner.pk}/history/",
            issue_url(partner),
            revoke_url(Credential.objects.get()),
            "/admin/clients/auditentry/",
            f"/admin/clients/auditentry/{AuditEntry.objects.get().pk}/change/",
        )
    ]
    sessions = " ".join(str(session.get_decoded()) for session in Session.objects.all())
    for place in (*pages, whole_database(), sessions, caplog.text, str(list(LogEntry.objects.values()))):
        assert secret not in place
        assert signature not in place
    digest = Credential.objects.get().digest
    assert digest is None or not [html for html in pages if digest in html]


def test_a_last_day_is_kept_to_its_end_in_lima(boss, partner):
    day = timezone.localdate() + timedelta(days=30)
    issue(boss, partner, "opaque", last_day=day.isoformat())
    end = timezone.localtime(Credential.objects.get().expires_at)
    assert (end.date(), end.hour, end.minute) == (day + timedelta(days=1), 0, 0)


def test_a_jwt_given_until_today_still_opens_today(boss, partner):
    secret = secret_in(issue(boss, partner, "jwt", last_day=timezone.localdate().isoformat())[0])
    assert authenticate(secret, at=timezone.now())


@pytest.mark.parametrize(
    "fields",
    [
        {"last_day": (timezone.localdate() - timedelta(days=1)).isoformat()},
        {"last_day": "9999-12-31"},
        {"last_day": "mañana"},
        {"last_day": "\x00"},
        {"kind": "otro"},
        {"kind": ""},
    ],
    ids=str,
)
def test_nonsense_issues_nothing_and_may_be_put_right(boss, partner, fields):
    body = {"ticket": ticket_in(page(boss, issue_url(partner))), "kind": "opaque"} | fields
    answer = boss.post(issue_url(partner), body)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not Credential.objects.exists()
    right = {"ticket": ticket_in(answer.content.decode()), "kind": "opaque"}
    assert secret_in(boss.post(issue_url(partner), right))


def test_issuing_is_audited_with_who_and_where(boss, partner):
    issue(boss, partner)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("credential.issued", "ana", "192.0.2.7")
    assert entry.data == {"kind": "opaque", "partner": "financiera"}


def test_a_revoked_key_is_refused_at_once_and_the_reason_is_kept(boss, partner):
    secret = secret_in(issue(boss, partner)[0])
    credential = authenticate(secret, at=timezone.now())
    assert "Revocar" in page(boss, f"{PARTNERS}{partner.pk}/change/")
    answer = boss.post(revoke_url(credential), {"reason": " se filtró en un correo "}, follow=True)
    assert "revocada: ya no entra" in answer.content.decode()
    with pytest.raises(CredentialRefused):
        authenticate(secret, at=timezone.now())
    entry = AuditEntry.objects.get(action="credential.revoked")
    assert (entry.actor, entry.address, entry.reason) == ("ana", "192.0.2.7", "se filtró en un correo")
    assert revoke_url(credential) not in page(boss, f"{PARTNERS}{partner.pk}/change/")


def test_revoking_twice_keeps_the_first_date_and_writes_once(boss, partner):
    issue(boss, partner)
    credential = Credential.objects.get()
    boss.post(revoke_url(credential), {"reason": "primera"})
    first = Credential.objects.get().revoked_at
    answer = boss.post(revoke_url(credential), {"reason": "segunda"}, follow=True)
    assert "ya estaba revocada" in answer.content.decode()
    assert Credential.objects.get().revoked_at == first
    assert AuditEntry.objects.filter(action="credential.revoked").count() == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "\x00"])
def test_a_revocation_needs_its_reason(boss, partner, reason):
    issue(boss, partner)
    credential = Credential.objects.get()
    assert boss.post(revoke_url(credential), {"reason": reason}).status_code == 200
    assert Credential.objects.get().revoked_at is None


def test_looking_at_the_page_revokes_nothing(boss, partner):
    issue(boss, partner)
    page(boss, revoke_url(Credential.objects.get()))
    assert Credential.objects.get().revoked_at is None


def test_a_key_is_revoked_under_its_own_partner_only(boss, partner):
    issue(boss, partner)
    other = PartnerFactory(name="Otra")
    credential = Credential.objects.get()
    url = reverse("admin:clients_partner_revoke", args=[other.pk, credential.pk])
    boss.post(url, {"reason": "x"})
    assert Credential.objects.get().revoked_at is None


@pytest.mark.parametrize("what", ["issue", "revoke"])
def test_issuing_and_revoking_need_the_csrf_token(boss, partner, what):
    issue(boss, partner)
    credential = Credential.objects.get()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies
    ticket = ticket_in(page(strict, issue_url(partner)))
    url = issue_url(partner) if what == "issue" else revoke_url(credential)
    assert strict.post(url, {"reason": "x", "kind": "opaque", "ticket": ticket}).status_code == 403
    assert Credential.objects.get().revoked_at is None


@pytest.mark.parametrize("permissions", [(), ("view_partner",), ("add_credential", "change_credential")])
def test_nobody_issues_or_revokes_without_the_permission(partner, boss, permissions):
    issue(boss, partner)
    http = staff_browser(*permissions)
    for url in (issue_url(partner), revoke_url(Credential.objects.get())):
        assert http.get(url).status_code == 403
        assert http.post(url, {"reason": "x", "kind": "opaque", "ticket": "x"}).status_code == 403
    assert Credential.objects.get().revoked_at is None


def test_the_button_is_shown_to_those_who_may_issue_only(partner):
    assert issue_url(partner) in page(
        staff_browser("view_partner", "add_credential"), f"{PARTNERS}{partner.pk}/change/"
    )
    User.objects.all().delete()
    assert issue_url(partner) not in page(staff_browser("view_partner"), f"{PARTNERS}{partner.pk}/change/")


def test_strangers_are_sent_to_the_login(partner):
    for url in (issue_url(partner), f"{PARTNERS}{partner.pk}/credencial/1/revocar/"):
        assert Client().get(url)["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("tail", ["0/credencial/", "x/credencial/", "1/credencial/99999999999999999999/revocar/"])
def test_an_unknown_partner_is_not_found(boss, tail):
    assert boss.get(PARTNERS + tail).status_code in (302, 404)


# --- the partner itself -------------------------------------------------------------------------------------------


NEW = {"name": "Nueva", "slug": "nueva", "is_active": "on", "contracts": ["informaperu", "registry"]}


def test_a_new_partner_is_offered_its_first_key(boss):
    answer = boss.post(f"{PARTNERS}add/", NEW)
    partner = Partner.objects.get()
    assert answer["Location"] == issue_url(partner)
    assert partner.contracts == ["informaperu", "registry"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("partner.created", "ana", "192.0.2.7")


def inline(partner):
    """Form fields of the table of keys, which the page shows and nobody can change."""
    return {"credentials-TOTAL_FORMS": "0", "credentials-INITIAL_FORMS": "0"}


def test_switching_a_partner_off_is_audited(boss, partner):
    secret = secret_in(issue(boss, partner)[0])
    body = {"name": "Financiera", "contracts": ["informaperu"], **inline(partner)}
    assert boss.post(f"{PARTNERS}{partner.pk}/change/", body).status_code == 302
    entry = AuditEntry.objects.get(action="partner.changed")
    assert entry.data == {
        "changes": [
            {"field": "is_active", "before": True, "after": False},
            {"field": "contracts", "before": ["nopasanada", "informaperu", "registry"], "after": ["informaperu"]},
        ]
    }
    with pytest.raises(CredentialRefused):
        authenticate(secret, at=timezone.now())


def test_neither_slug_nor_keys_change_with_the_partner(boss, partner):
    issue(boss, partner)
    before = Credential.objects.values().get()
    body = {
        "name": "Otro nombre",
        "slug": "otro",
        "is_active": "on",
        "contracts": ["informaperu"],
        "credentials-TOTAL_FORMS": "1",
        "credentials-INITIAL_FORMS": "1",
        "credentials-0-id": before["id"],
        "credentials-0-partner": partner.pk,
        "credentials-0-kind": "jwt",
        "credentials-0-expires_at_0": "2099-01-01",
        "credentials-0-DELETE": "on",
    }
    assert boss.post(f"{PARTNERS}{partner.pk}/change/", body).status_code == 302
    partner.refresh_from_db()
    assert (partner.name, partner.slug) == ("Otro nombre", "financiera")
    assert Credential.objects.values().get() == before


def test_a_partner_is_never_deleted(boss, partner):
    assert boss.get(f"{PARTNERS}{partner.pk}/delete/").status_code == 403
    boss.post(PARTNERS, {"action": "delete_selected", "_selected_action": partner.pk, "post": "yes"})
    assert Partner.objects.exists()


def test_markup_in_a_partner_s_name_is_text(boss, partner):
    Partner.objects.update(name='<script>alert("x")</script>{{ 41234|add:14321 }}')
    issue(boss, Partner.objects.get())
    credential = Credential.objects.get()
    for url in (
        PARTNERS,
        f"{PARTNERS}{partner.pk}/change/",
        issue_url(partner),
        revoke_url(credential),
        "/admin/clients/auditentry/",
    ):
        html = page(boss, url)
        assert "<script>alert(" not in html
        assert "55555" not in html
    assert "&lt;script&gt;alert(" in page(boss, PARTNERS)


def test_a_list_of_partners_counts_its_live_keys_in_one_statement(boss, partner, django_assert_max_num_queries):
    for number in range(10):
        other = PartnerFactory(name=f"Empresa {number}", slug=f"empresa-{number}")
        issue(boss, other)
    revoked = Credential.objects.first()
    boss.post(revoke_url(revoked), {"reason": "x"})
    with django_assert_max_num_queries(7):  # one of them asks for the second factor, as on every page
        html = page(boss, PARTNERS)
    keys = re.findall(r'<td class="field-live_keys[^>]*>(\d+)</td>', html)
    assert (keys.count("1"), keys.count("0")) == (9, 2)


def test_dates_are_shown_in_lima(boss, partner):
    night = datetime(2026, 2, 12, 3, 0, tzinfo=UTC)
    CredentialFactory(partner=partner, created_at=night)
    assert "11/02/2026 22:00:00" in page(boss, f"{PARTNERS}{partner.pk}/change/")
