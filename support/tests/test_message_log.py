"""Message log: filters, pages by cursor, newer rows and exports. Destinations are masked everywhere."""

import csv
import io
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from clients.models import AuditEntry
from external_api.frontdoor.keyset import Position
from messaging.models import Message
from support.message_log import queries
from support.message_log.queries import PER_PAGE, PILLS
from tests.factories import MessageFactory, PartnerFactory, staff_browser
from tests.plans import drop_other_indexes

pytestmark = pytest.mark.django_db
LOG = "/soporte/mensajes/"
PHONE = "987654321"


@pytest.fixture
def agent():
    return staff_browser("use_desk")


def message(**changes):
    fields = {"recipient": PHONE, "text": "clave ••••", "state": "SENT", "provider": "lejano", "provider_reply": "ok"}
    return MessageFactory(**{**fields, **changes})


def rows(answer):
    return answer.content.decode().count("<tr>") - 1


def test_destinations_are_masked_and_lead_to_the_case(agent):
    sent = message()
    page = agent.get(LOG).content.decode()
    assert PHONE not in page
    assert "9•• ••• 321" in page
    assert f"/soporte/?q={sent.pk}" in page


@pytest.mark.parametrize("pill", list(PILLS))
def test_each_pill_shows_its_states_and_no_other(agent, pill):
    for state in Message.State.values:
        claim = {"claim_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "lease_until": timezone.now()}
        message(state=state, **(claim if state == "SENDING" else {}))
    assert rows(agent.get(LOG, {"grupo": pill})) == len(PILLS[pill][1])
    assert {state for _, states in PILLS.values() for state in states} == set(Message.State.values)


def test_each_filter_shows_its_rows_only(agent):
    bank = PartnerFactory(name="Banco")
    message(via="C", recipient="a@dominio.com")
    message(kind="alerta", via="C", recipient="a@dominio.com", partner=bank)
    message()
    for asked, expected in (
        ({}, 3),
        ({"via": "C"}, 2),
        ({"tipo": "alerta"}, 1),
        ({"empresa": bank.pk}, 1),
        ({"via": "C", "tipo": "boletin"}, 0),
    ):
        assert rows(agent.get(LOG, asked)) == expected, asked


NONSENSE = (
    {"via": "X"},
    {"empresa": "9999"},
    {"empresa": "x"},
    {"desde": "ayer"},
    {"grupo": "'"},
    {"antes": "x"},
    {"antes": "9" * 40 + "-0"},
    {"desde_fila": "-"},
    {"desde": "0001-01-01"},
    {"hasta": "9999-12-31"},
    {"hasta": "0001-01-01"},
)


@pytest.mark.parametrize("asked", NONSENSE)
def test_an_invalid_filter_is_ignored(agent, asked):
    assert agent.get(LOG, asked).status_code == 200


def test_days_are_lima_s_and_without_a_filter_a_week_is_shown(agent):
    lima = ZoneInfo("America/Lima")
    for day in (1, 2, 3):
        message(created_at=datetime(2026, 2, day, 23, 59, 59, tzinfo=lima))
    assert rows(agent.get(LOG)) == 0
    assert rows(agent.get(LOG, {"desde": "2026-02-02", "hasta": "2026-02-02"})) == 1
    assert rows(agent.get(LOG, {"desde": "2026-02-01"})) == 3
    assert rows(agent.get(LOG, {"hasta": "2026-02-02"})) == 2


def test_every_page_is_the_next_fifty_also_where_many_share_a_moment(agent):
    at = timezone.now() - timedelta(hours=1)
    made = [message(created_at=at, recipient=f"9{number:08d}").pk for number in range(2 * PER_PAGE + 7)]
    seen, url = [], LOG
    for _ in range(3):
        with CaptureQueriesContext(connection) as asked:
            page = agent.get(url).content.decode()
        assert len(asked) <= 8  # one for the banner of providers set aside
        seen += [part[:36] for part in page.split("?q=")[1:]]
        url = LOG + next((part.split('"')[1].replace("&amp;", "&") for part in page.split('rel="next" href=')[1:]), "")
    assert sorted(seen) == sorted(map(str, made))
    assert url == LOG, "the third page is the last"


def test_the_page_s_script_gets_the_newer_rows_only(agent):
    old = message(created_at=timezone.now() - timedelta(minutes=2))
    new = message(recipient="912345678")
    answer = agent.get(LOG, {"desde_fila": str(Position(old.created_at, old.pk))})
    page = answer.content.decode()
    assert str(new.pk) in page
    assert str(old.pk) not in page
    assert "<html" not in page
    assert answer["X-Newest"] == str(Position(new.created_at, new.pk))
    again = agent.get(LOG, {"desde_fila": answer["X-Newest"]})
    assert (again.content.strip(), again["X-Newest"]) == (b"", answer["X-Newest"])


def test_exports_are_masked_safe_from_formulas_and_counted(agent):
    message(provider_reply="=cmd|' /C calc'!A0")
    message(state="FAILED")
    answer = agent.get("/soporte/mensajes.csv", {"grupo": "enviados"})
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    header, row, total = csv.reader(io.StringIO(text))
    assert header[:3] == ["fecha", "empresa", "tipo"]
    assert "'=cmd|' /C calc'!A0" in row
    assert total == ["Total: 1 filas"]
    assert PHONE not in text
    sheet = load_workbook(io.BytesIO(b"".join(agent.get("/soporte/mensajes.xlsx").streaming_content))).active
    assert sheet.max_row == 3
    values = [str(cell.value) for line in sheet.iter_rows() for cell in line]
    assert PHONE not in " ".join(values)
    assert not any(cell.data_type == "f" for line in sheet.iter_rows() for cell in line)
    assert agent.get("/soporte/mensajes.pdf").status_code == 404


def everything_on_its_pages(agent, asked):
    seen, url, pages = [], LOG, 0
    while url and pages < 50:
        answer = agent.get(url, asked if url == LOG else None)
        page = answer.content.decode()
        seen += [part[:36] for part in page.split("?q=")[1:]]
        after = page.split('rel="next" href=')[1:]
        url = LOG + after[0].split('"')[1].replace("&amp;", "&") if after else ""
        pages += 1
    return seen, pages


@pytest.mark.parametrize(
    "asked", [{"via": "W"}, {"grupo": "anulados"}, {"grupo": "fallidos", "via": "W"}, {"via": "I"}]
)
def test_a_page_reads_a_bounded_number_of_rows_and_says_how_far(agent, monkeypatch, asked):
    monkeypatch.setattr(queries, "LOOKED_THROUGH", 10)
    now = timezone.now()
    states = ["SENT", "CANCELLED", "FAILED", "SENT", "UNDELIVERED"]
    for number in range(45):
        message(
            via="W" if number % 9 == 0 else "S",
            state=states[number % 5],
            recipient=f"9{number:08d}",
            created_at=now - timedelta(minutes=number // 3),
        )
    wanted = queries.searched({**dict.fromkeys(("desde", "hasta")), **asked}, at=now).rows
    seen, pages = everything_on_its_pages(agent, asked)
    assert seen == [str(row.pk) for row in wanted]
    assert pages > 1
    first = agent.get(LOG, asked).content.decode()
    assert "Seguir buscando" in first
    assert "antes aún no se ha buscado" in first


def test_an_export_reads_on_to_the_end(agent, monkeypatch):
    monkeypatch.setattr(queries, "LOOKED_THROUGH", 10)
    monkeypatch.setattr(queries, "ROWS_PER_QUERY", 4)
    for number in range(45):
        message(via="W" if number % 2 else "S", created_at=timezone.now() - timedelta(minutes=number))
    text = b"".join(agent.get("/soporte/mensajes.csv", {"via": "W"}).streaming_content).decode("utf-8-sig")
    assert text.rstrip().endswith("Total: 22 filas")


def test_failed_messages_are_found_by_their_own_index():
    rows = queries.searched({"grupo": "fallidos", "desde": date(2020, 1, 1)}, at=timezone.now()).rows[:50]
    with connection.cursor() as cursor:
        drop_other_indexes(cursor, "message_went_wrong")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        sql, params = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN {sql}", params)
        assert "message_went_wrong" in "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.django_db(transaction=True)  # the server's close ends the request, and with it the connection
def test_one_export_runs_at_a_time_and_one_that_is_not_read_frees_its_slot(agent):
    message()
    unread = agent.get("/soporte/mensajes.csv")
    refused = agent.get("/soporte/mensajes.csv")
    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert "Otra exportación está en curso" in refused.content.decode()
    unread.close()
    assert b"".join(agent.get("/soporte/mensajes.csv").streaming_content)
    assert b"".join(agent.get("/soporte/mensajes.xlsx").streaming_content)


def test_an_export_is_audited(agent):
    b"".join(agent.get("/soporte/mensajes.csv", {"via": "W", "desde": "2026-02-01", "x": "\x01"}).streaming_content)
    entry = AuditEntry.objects.get(action="messages.exported")
    assert (entry.actor, entry.data) == ("eva", {"format": "csv", "filter": {"via": "W", "desde": "2026-02-01"}})
