"""Plans of the lists over big tables: PostgreSQL never reads a whole table for what a page shows."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients.admin.base import LimitedPaginator, PartnerFilter, TextFilter
from clients.models import Applicant, AuditEntry, AuthorizedClient, ExternalClient, Partner
from external_api.models import ApiRequest
from messaging.models import Message, MessageEvent
from subscription.models import ConsentRecord, SubscriptionRequest
from support.tests.cast import list_of, page_of
from tests.factories import superuser_browser
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db

ROWS = 10_000
MODELS = (
    Applicant,
    VerificationToken,
    Message,
    AuthorizedClient,
    ExternalClient,
    ApiRequest,
    ConsentRecord,
    SubscriptionRequest,
    AuditEntry,
)
BIG = {model._meta.db_table for model in (*MODELS, MessageEvent)}
TERMS = (
    "40000123",
    "900000123",
    "persona123@correo.pe",
    "CLI-123",
    "192.0.2.9",
    "123",
    "00000000-0000-0000-0000-000000000123",
)

FILL = f"""
INSERT INTO clients_partner (name, slug, is_active, contracts, created_at)
    SELECT 'Empresa ' || n, 'empresa-' || n, true, '{{nopasanada}}', now() FROM generate_series(1, 20) n;
INSERT INTO clients_applicant (id, partner_id, document_type, document_number, check_character, names, paternal_surname,
    maternal_surname, email, department, province, district, ubigeo, state, wrong_codes_in_a_row, locked_at, proved_via,
    proved_destination, proved_operator, validated_at, created_at, updated_at)
    SELECT lpad(n::text, 32, '0')::uuid, (SELECT min(id) FROM clients_partner) + n % 20, 'DNI', (40000000 + n)::text,
    '1', 'Juan', 'Perez', 'Gomez', 'persona' || n || '@correo.pe', 'LIMA', 'LIMA', 'MIRAFLORES', '150122',
    CASE WHEN n % 2 = 0 THEN 'VALIDADO' ELSE 'PENDIENTE' END, 0, CASE WHEN n % 3 = 0 THEN now() END, 'S',
    (900000000 + n)::text, 'CLARO', CASE WHEN n % 2 = 0 THEN now() END, now() - n * interval '7 min', now()
    FROM generate_series(1, {ROWS}) n;
INSERT INTO tokens_verificationtoken (id, applicant_id, via, destination, operator, code_hmac, wrong_tries, created_at,
    expires_at, outcome, finished_at, client_attempt, client_wait, destination_attempt, destination_wait)
    SELECT id, id, substr('SWIC', 1 + (row_number() OVER ())::int % 4, 1), proved_destination, 'CLARO', '\\x00', 0,
    created_at, created_at, (ARRAY['VALIDADO', 'FALLIDO', 'EXPIRADO', 'SIN_RESPUESTA', 'CANCELADO', 'REEMPLAZADO',
    'NO_ENVIADO'])[1 + (row_number() OVER ())::int % 7], created_at, 1, '0', 1, '0' FROM clients_applicant;
INSERT INTO messaging_message (id, partner_id, kind, via, recipient, subject, text, html, state, attempts,
    next_attempt_at, provider, provider_id, provider_reply, reference, created_at, sent_at)
    SELECT id, partner_id, (ARRAY['verificacion', 'boletin', 'alerta', 'suscripcion'])
    [1 + (row_number() OVER ())::int % 4], substr('SWIC', 1 + (row_number() OVER ())::int % 4, 1), proved_destination,
    '', 'x', '', (ARRAY['QUEUED', 'SENT', 'DELIVERED', 'UNDELIVERED', 'FAILED', 'UNKNOWN', 'EXPIRED', 'CANCELLED'])
    [1 + (row_number() OVER ())::int % 8], 1, created_at, 'twilio', '', '', id, created_at, created_at
    FROM clients_applicant;
INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
    SELECT id, created_at, 'SENT', 1, 'twilio', '' FROM messaging_message;
INSERT INTO clients_authorizedclient (partner_id, email, name, document_type, document_number, phone, external_code,
    profile, request_id, created_at, deauthorized_at, subscribed_at)
    SELECT (SELECT min(id) FROM clients_partner) + n % 20, 'persona' || n || '@correo.pe', 'Juan', 'DNI',
    (40000000 + n)::text, (900000000 + n)::text, 'CLI-' || n, CASE WHEN n % 2 = 0 THEN 'VIP' ELSE 'MASIVO' END, n,
    now() - n * interval '7 min', CASE WHEN n % 3 = 0 THEN now() END, CASE WHEN n % 2 = 0 THEN now() END
    FROM generate_series(1, {ROWS}) n;
INSERT INTO clients_externalclient (id, partner_id, client_id, cui, first_name, last_name, phone, product_key,
    product_id, origin, data_points, created_at, updated_at, folded_name)
    SELECT lpad(n::text, 32, '0')::uuid, (SELECT min(id) FROM clients_partner) + n % 20, 'CLI-' || n, '2380033370713',
    'Juan', 'Pérez', (900000000 + n)::text, 'A', 'B', 'web', '[]', now() - n * interval '7 min', now(),
    translate(md5(n::text), '0123456789', 'ghijklmnop') || ' perez'
    FROM generate_series(1, {4 * ROWS}) n;
INSERT INTO external_api_apirequest (contract, partner_id, "user", action, status, code, duration_ms, created_at)
    SELECT (ARRAY['nopasanada', 'informaperu', 'registry'])[1 + n % 3], (SELECT min(id) FROM clients_partner) + n % 20,
    'x', 'alta', (ARRAY[200, 404, 503])[1 + n % 3], '', 5, now() - n * interval '7 min'
    FROM generate_series({ROWS}, 1, -1) n;
INSERT INTO subscription_subscriptionrequest (id, email, requested_at, expires_at, used_at, address)
    SELECT lpad(n::text, 32, '0')::uuid, 'persona' || n || '@correo.pe', now() - n * interval '7 min', now(),
    CASE WHEN n % 2 = 0 THEN now() END, '192.0.2.9' FROM generate_series(1, {ROWS}) n;
INSERT INTO subscription_consentrecord (authorized_client_id, request_id, email, act, how, text_version, text, at,
    address)
    SELECT id, lpad(request_id::text, 32, '0')::uuid, email, CASE WHEN id % 2 = 0 THEN 'given' ELSE 'withdrawn' END,
    CASE WHEN id % 2 = 0 THEN 'link' ELSE (ARRAY['page', 'one_click'])[1 + id % 2] END, '1', 'x', created_at,
    '192.0.2.9' FROM clients_authorizedclient;
INSERT INTO clients_auditentry (at, actor, action, object_type, object_id, address, reason, data)
    SELECT now() - n * interval '7 min', 'agente' || n % 50, (ARRAY['ladder.forgiven', 'staff.logged_in',
    'applicant.unlocked', 'external_client.changed'])[1 + n % 4], 'clients.applicant',
    lpad(n::text, 32, '0')::uuid::text, ('192.0.2.' || n % 200)::inet, '', '{{}}' FROM generate_series(1, {ROWS}) n;
"""


@pytest.fixture
def boss():
    return superuser_browser()


@pytest.fixture
def full():
    """Fill the big tables, the newest rows last, and update their statistics.

    They are truncated first, which gives them new files: in the space that tests before have left, the rows would lie
    in another order, and the planner would reckon with that.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # the whole database, on a busy machine
        cursor.execute(f"TRUNCATE {', '.join(sorted(BIG))}, clients_partner CASCADE")
        cursor.execute(FILL)
        cursor.execute("ANALYZE")
        cursor.execute("RESET statement_timeout")


def nodes(plan) -> Iterator[dict]:
    yield plan
    for each in plan.get("Plans", []):
        yield from nodes(each)


def scans(sql):
    """Big tables that the plan of a statement reads in full."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        (answer,) = cursor.fetchone()
    plan = (answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]
    return {node["Relation Name"] for node in nodes(plan) if node["Node Type"].endswith("Seq Scan")} & BIG


def read_by(http, path):
    """(path, table, statement) for each big table that a page reads in full."""
    with CaptureQueriesContext(connection) as queries:
        answer = http.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    shown = answer.context.get("cl")
    if "__" in path and not shown.result_count:
        return []  # no row has this choice
    asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
    assert asked
    return [(path, table, sql) for sql in asked for table in scans(sql)]


def choices_of(http, model):
    """URLs of each choice of each filter, as the page links them; of two partners only."""
    cl = http.get(list_of(model)).context["cl"]
    for spec in cl.filter_specs:
        links = [choice["query_string"] for choice in spec.choices(cl) if "query_string" in choice]
        yield from (f"{list_of(model)}{link}" for link in links[1 : 3 if isinstance(spec, PartnerFilter) else 12])
        if isinstance(spec, TextFilter):
            yield f"{list_of(model)}?{spec.parameter_name}=VIP"
    if model is AuditEntry:
        yield f"{list_of(model)}?accion=ladder.forgiven"


def days_of(model):
    name = {ConsentRecord: "at", AuditEntry: "at", SubscriptionRequest: "requested_at"}.get(model, "created_at")
    day = timezone.localtime(timezone.now() - timedelta(days=40))
    if model is not AuthorizedClient:
        yield f"{list_of(model)}?{name}__year={day.year}&{name}__month={day.month}&{name}__day={day.day}"
        yield f"{list_of(model)}?{name}__year={day.year}&{name}__month={day.month}"


def test_no_page_reads_a_big_table_from_end_to_end(boss, full, monkeypatch):
    monkeypatch.setattr("clients.admin.base.COUNTED", ROWS // 50)  # what 5,000 is to a table of 250,000
    found, looked_at = [], 0
    for model in MODELS:
        row = model._default_manager.order_by("pk").first()
        paths = [
            list_of(model),
            f"{list_of(model)}?p=4",
            *(f"{list_of(model)}?q={term}" for term in TERMS),
            *choices_of(boss, model),
            *days_of(model),
            page_of(row),
            page_of(row, "history"),
        ]
        looked_at += len(paths)
        for path in paths:
            found += read_by(boss, path)
    assert found == [], "\n".join(f"{path} reads {table}: {sql}" for path, table, sql in found)
    assert looked_at > 120


def test_a_plan_that_reads_a_whole_table_is_noticed(full):
    assert scans("SELECT * FROM clients_applicant WHERE names LIKE '%a%'") == {"clients_applicant"}


def test_no_column_can_be_sorted_by_that_no_index_sorts(boss, full, monkeypatch):
    monkeypatch.setattr("clients.admin.base.COUNTED", ROWS // 50)  # as above
    for model in MODELS:
        assert "sortable" not in boss.get(list_of(model)).content.decode().split("<tbody")[0].split("<thead")[1]
        paths = [f"{list_of(model)}?o={number}" for number in (1, 3, -4)]
        assert [each for path in paths for each in read_by(boss, path)] == []


def test_a_long_list_says_about_how_many_rows_there_are(boss, full):
    for query, said in (("", "unos 10\xa0000 fila"), ("?state__exact=PENDIENTE", "más de 5\xa0000 fila")):
        html = boss.get(f"{list_of(Applicant)}{query}").content.decode()
        assert said in html, query
    assert "1 fila<" in boss.get(f"{list_of(Applicant)}?q=40000123").content.decode()
    paginator = LimitedPaginator(Applicant.objects.filter(document_number="40000123").order_by("pk"), 50)
    assert paginator.said == "1"


def test_a_filter_that_takes_too_long_is_told_on_the_page(boss, full, monkeypatch):
    """A filter with few rows is searched by time until `statement_timeout`; the page then says what to do."""
    from django.contrib.admin.views.main import ChangeList

    def too_long(self, request):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 50")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(ChangeList, "get_results", too_long)
    answer = boss.get(list_of(Message))
    assert answer.status_code == 200
    assert "Elija también una fecha" in answer.content.decode()


# --- days -------------------------------------------------------------------------------------------------------------


def links_of(html):
    import re
    from html import unescape

    body = re.search(r'<ul class="toplinks.*?</ul>', html, re.S)
    return [
        (" ".join(unescape(text).split()), unescape(href))
        for href, text in re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', re.sub(r"<span.*?</span>", "", body[0]), re.S)
    ]


def entry(day):
    AuditEntry.objects.create(at=day, actor="x", action="staff.logged_in", object_type="auth.user", object_id="1")


def test_days_are_offered_from_the_first_row_to_the_last(boss):
    from datetime import UTC, datetime

    entry(datetime(2025, 11, 3, 2, 0, tzinfo=UTC))  # the 2nd in Lima
    entry(datetime(2026, 2, 12, 15, 30, tzinfo=UTC))
    audit = list_of(AuditEntry)
    assert [text for text, _ in links_of(boss.get(audit).content.decode())] == ["2025", "2026"]
    months = links_of(boss.get(f"{audit}?at__year=2025&q=x").content.decode())
    assert [text for text, _ in months] == ["Todas las fechas", "Noviembre de 2025", "Diciembre de 2025"]
    assert all("q=x" in where for _, where in months)
    days = links_of(boss.get(f"{audit}?at__year=2025&at__month=11").content.decode())
    assert [text for text, _ in days][:3] == ["2025", "02/11", "03/11"]
    assert len(days) == 1 + 29
    one = boss.get(f"{audit}{days[1][1]}")
    assert one.context["cl"].result_count == 1
    assert links_of(one.content.decode()) == [("Noviembre de 2025", "?at__month=11&at__year=2025")]


@pytest.mark.parametrize(
    "query",
    [
        "at__year=x",
        "at__year=0",
        "at__year=9999&at__month=13",
        "at__year=2025&at__month=0",
        "at__year=99999999",
        "at__year=2025&at__month=2&at__day=31",
    ],
)
def test_an_invalid_day_is_ignored(boss, query):
    entry(timezone.now())
    assert boss.get(f"{list_of(AuditEntry)}?{query}", follow=True).status_code in (200, 400)


def test_a_list_without_rows_offers_no_days(boss):
    assert "toplinks" not in boss.get(list_of(Message)).content.decode()
    assert Partner.objects.count() == 0
