"""Every page of the admin, from its register: its statements do not grow with the rows, and text is escaped."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clients.models import Credential, Partner
from messaging.admin.campaign_steps import STEPS
from messaging.models import Campaign
from support.tests.cast import HOSTILE, everything, list_of, page_of, registered
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return superuser_browser("aaa")


def page(http, path, **query):
    answer = http.get(path, query)
    assert answer.status_code == 200, (path, query, answer.status_code, answer.headers.get("Location"))
    return answer


def filtered(http, model):
    """URLs of the list with choices of each filter, from its links and select boxes."""
    cl = page(http, list_of(model)).context["cl"]
    for spec in cl.filter_specs:
        for choice in list(spec.choices(cl))[:3]:
            if "query_string" in choice:
                yield f"{list_of(model)}{choice['query_string']}"
            else:
                values = [value for value, _, _ in choice.get("choices", [])][:2] or ["x"]
                yield from (f"{list_of(model)}?{choice['name']}={value}" for value in values)


def paths_of(http, model):
    row = model._default_manager.first()
    yield from (list_of(model), f"{list_of(model)}?q=12345678", f"{list_of(model)}?q=a@b.pe")
    yield from sorted(set(filtered(http, model)))
    yield page_of(row)
    yield page_of(row, "history")


OF_THE_SESSION = re.compile('UPDATE "django_session"|SAVEPOINT|RELEASE SAVEPOINT')
"""A session is saved once a minute, whatever the page."""


def costs(http, paths):
    found = {}
    for path in paths:
        with CaptureQueriesContext(connection) as queries:
            page(http, path)
        found[path] = [query["sql"] for query in queries if not OF_THE_SESSION.match(query["sql"])]
    return found


def test_the_cast_has_rows_of_everything_that_has_a_page():
    everything("x", [1])
    assert [model._meta.label for model in registered() if not model._default_manager.exists()] == []


def test_no_page_costs_more_statements_because_there_are_more_rows(boss):
    everything("x", [1])
    paths = {model: list(paths_of(boss, model)) for model in registered()}
    for model in registered():
        costs(boss, paths[model][:1])  # content types and the like are asked for once
    before = {model: costs(boss, paths[model]) for model in registered()}
    everything("y", range(2, 14))
    grown = []
    for model in registered():
        for path, few in before[model].items():
            many = costs(boss, [path])[path]
            if len(many) > len(few):
                grown.append((path, len(few), len(many), sorted(many)[-6:]))
    assert grown == []
    assert sum(map(len, paths.values())) > 60


def custom_pages():
    partner = Partner.objects.order_by("name").first()
    key = Credential.objects.filter(revoked_at=None).first()
    yield reverse("admin:clients_partner_issue", args=[partner.pk])
    for act in ("rotate", "revoke"):
        yield reverse(f"admin:clients_partner_{act}", args=[key.partner_id, key.pk])
    campaign = Campaign.objects.first()
    for step in STEPS:
        if campaign.state in step.sources:
            yield reverse(step.page, args=[campaign.pk])
    yield reverse("admin:clients_authorizedclient_import")
    yield page_of(User.objects.first(), "change").replace("/change/", "/password/")


def hostile_pages(http):
    yield "/admin/"
    for model in registered():
        yield list_of(model)
        yield reverse("admin:app_list", args=[model._meta.app_label])
        for row in model._default_manager.all()[:3]:
            yield page_of(row)
            yield page_of(row, "history")
            if http.get(page_of(row, "delete")).status_code == 200:
                yield page_of(row, "delete")
    yield from custom_pages()


def test_what_others_wrote_is_shown_as_text_on_every_page(boss):
    everything(HOSTILE, [1, 2])
    shown, deletions = [], 0
    for path in hostile_pages(boss):
        html = page(boss, path).content.decode()
        deletions += path.endswith("/delete/")
        assert "<script>alert(" not in html, path
        assert not re.search(r"\}\}15554|15554\{|60481729", html), path  # no template worked it out
        if "&lt;script&gt;alert(" in html:
            shown.append(path)
    assert deletions >= 3
    for model in registered():
        if model._meta.label != "external_api.ApiRequest":
            assert [path for path in shown if path.startswith(list_of(model))], model


@pytest.mark.parametrize("action", ["forgive_wait", "take_out"])
def test_what_others_wrote_is_text_where_an_act_is_confirmed(boss, action):
    from clients.models import Applicant
    from messaging.models import ProviderState

    everything(HOSTILE, [1])
    model = Applicant if action == "forgive_wait" else ProviderState
    row = model._default_manager.first()
    answer = boss.post(list_of(model), {"action": action, "_selected_action": [row.pk]})
    html = answer.content.decode()
    assert "Motivo" in html
    assert "&lt;script&gt;alert(" in html
    assert "<script>alert(" not in html


ENGLISH = re.compile(
    r"\b(Select|Search|Delete|Change|Filters?|Save|Close|History|Home|Welcome|Run|Add|View|Yes|True|False|None|"
    r"results?|Choose|Type to|Go back|Reset|Can (?:add|change|view|delete)|Log out|Light|Dark|System|Apply)\b"
)


def words_of(html):
    """Text that a person reads, also by a tooltip or screen reader; without scripts, styles and names of icons."""
    html = re.sub(r"<(script|style|noscript)\b.*?</\1>", " ", html, flags=re.S)
    html = re.sub(r'<span class="material-symbols-outlined[^"]*"[^>]*>.*?</span>', " ", html, flags=re.S)
    said = re.findall(r'(?:title|placeholder|aria-label|data-label|alt)="([^"]*)"', html)
    return " ".join([re.sub(r"<[^>]*>", " ", html), *said])


def test_nothing_is_in_english_by_accident(boss):
    everything("dato", [1, 2])
    paths = [*hostile_pages(boss), "/admin/password_change/", "/admin/auth/user/add/", "/admin/clients/partner/add/"]
    for path in paths:
        found = ENGLISH.findall(words_of(page(boss, path).content.decode()))
        assert found == [], path
    login = words_of(Client().get("/admin/login/").content.decode())
    assert ENGLISH.findall(login) == []


def test_dates_are_written_day_first(boss):
    everything("dato", [1])
    for model in registered():
        text = words_of(page(boss, list_of(model)).content.decode())
        assert not re.search(r"\d de (?:enero|febrero|noviembre|diciembre)|\b\d{4}-\d\d-\d\d", text, re.I), model
