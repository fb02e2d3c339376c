"""The four roles: which pages of the admin and the desk each opens, over the whole URL map."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import reverse

from tests.factories import PartnerFactory, staff_browser, superuser_browser

pytestmark = pytest.mark.django_db

OURS = {
    "clients.partner",
    "clients.applicant",
    "clients.authorizedclient",
    "clients.externalclient",
    "messaging.message",
    "messaging.campaign",
    "messaging.providerstate",
    "messaging.suppression",
    "tokens.verificationtoken",
    "tokens.ladderforgiveness",
    "external_api.apirequest",
    "subscription.consentrecord",
    "subscription.subscriptionrequest",
    "webhooks.endpoint",
    "webhooks.delivery",
}
OPENS = {
    "Administradores": OURS | {"clients.auditentry", "auth.user", "auth.group"},
    "Operaciones": OURS,
    "Soporte": set(),
    "Auditores": OURS | {"clients.auditentry"},
}


def member(role):
    return staff_browser(roles=(role,))


def lists():
    return {
        model._meta.label_lower: f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for model in admin.site._registry
    }


@pytest.mark.parametrize("role", list(OPENS))
def test_each_role_opens_its_pages_and_no_other(role):
    http = member(role)
    opened = {label for label, path in lists().items() if http.get(path).status_code == 200}
    assert opened == OPENS[role]
    assert http.get("/soporte/").status_code == 200


@pytest.mark.parametrize("role", ["Operaciones", "Soporte", "Auditores"])
def test_only_administrators_issue_keys_and_make_users(role):
    http = member(role)
    partner = PartnerFactory(name="Banco", contracts=["nopasanada"])
    assert http.get(reverse("admin:clients_partner_issue", args=[partner.pk])).status_code == 403
    assert http.get("/admin/auth/user/add/").status_code == 403


def test_auditors_change_nothing():
    codenames = set(Permission.objects.filter(group__name="Auditores").values_list("codename", flat=True))
    assert {name for name in codenames if not name.startswith("view_")} == {"use_desk"}


def sidebar(http):
    groups = http.get("/admin/password_change/").context["sidebar_navigation"]  # a page that every role opens
    return {str(item["link"]) for group in groups for item in group["items"] if item["has_permission"]}


@pytest.mark.parametrize("role", list(OPENS))
def test_the_sidebar_offers_what_a_role_opens_and_nothing_else(role):
    offered = sidebar(member(role))
    assert offered == {lists()[label] for label in OPENS[role]} | {"/admin/", "/soporte/"}


def test_the_sidebar_offers_a_superuser_every_page_there_is():
    http = superuser_browser()
    assert sidebar(http) == set(lists().values()) | {"/admin/", "/soporte/"}


def test_the_second_factors_secrets_have_no_page():
    labels = {model._meta.app_label for model in admin.site._registry}
    assert not labels & {"otp_totp", "otp_static", "axes"}


@pytest.mark.django_db(transaction=True)
def test_a_test_that_empties_the_tables_leaves_the_roles_to_the_next_ones():
    """After a test with transactions of its own, pytest-django empties the tables by this command."""

    def rights():
        return sorted(Group.objects.values_list("name", "permissions__content_type__model", "permissions__codename"))

    before = rights()
    assert len({name for name, *_ in before}) == 4
    call_command("flush", interactive=False, verbosity=0)
    assert rights() == before
