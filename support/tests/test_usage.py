"""Usage by month: equal to the rows however it was counted, bounded whatever their number, and only for who may see."""

import csv
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from clients.local_time import LIMA
from conftest import make_applicant
from messaging.models import Message
from support.models import CountedDay, UsageCount
from support.tests.days_rows import sent, token
from support.usage import counting, views
from tests.factories import PartnerFactory, staff_browser
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
"""22:30 of the 9th in Lima."""
TODAY = date(2026, 3, 9)


def rows(number=60, days=12):
    """Messages and codes of some days, by all states, vias and partners, some at the edge of a day."""
    chance = random.Random(7)
    partners = [None, PartnerFactory(name="Uno"), PartnerFactory(name="Dos")]
    people = [make_applicant(f"{n:08}", email=f"p{n}@d.com", partner=each) for n, each in enumerate(partners)]
    edges = [datetime(2026, 3, 5, 5, tzinfo=UTC), datetime(2026, 3, 5, 5, tzinfo=UTC) - timedelta(microseconds=1)]
    for n in range(number):
        at = edges[n] if n < len(edges) else AT - timedelta(minutes=chance.randrange(days * 1440))
        state, via = chance.choice(Message.State.values), chance.choice("SWIC")
        sent(
            at,
            state=state,
            via=via,
            partner=chance.choice(partners),
            provider=chance.choice(["", "twilio"]),
            **_claim(state),
        )
        done = chance.choice([each for each in VerificationToken.Outcome.values if each != "PENDIENTE"])
        token(at, via=via, outcome=done, who=chance.choice(people), message=chance.choice(["", "DELIVERED"]))


def _claim(state):
    if state != "SENDING":
        return {}
    return {"claim_id": "00000000-0000-0000-0000-000000000001", "lease_until": AT}


def by_hand(since, until):
    """The same counts from each row by itself."""
    found = Counter()
    for each in Message.objects.all():
        if since <= each.created_at.astimezone(LIMA).date() <= until:
            found["M", each.partner_id, each.kind, each.via, each.provider, each.state, each.state == "DELIVERED"] += 1
    for each in VerificationToken.objects.select_related("applicant"):
        if since <= each.created_at.astimezone(LIMA).date() <= until:
            arrived = Message.objects.filter(reference=each.pk, state="DELIVERED").exists()
            arrived = arrived or each.outcome == "VALIDADO"
            key = ("C", each.applicant.partner_id, "verificacion", each.via, "", each.outcome, arrived)
            found[key] += 1
    return found


SPANS = [(date(2026, 2, 20), TODAY), (date(2026, 3, 1), date(2026, 3, 31)), (date(2026, 3, 4), date(2026, 3, 4))]


@pytest.mark.parametrize("kept", ["none", "some", "all"])
def test_it_equals_the_rows(kept):
    rows()
    if kept != "none":
        counting.keep_due(at=AT, seconds=60)
    if kept == "some":
        CountedDay.objects.filter(day__lt=date(2026, 3, 5)).delete()
        UsageCount.objects.filter(day__lt=date(2026, 3, 5)).delete()
    for since, until in SPANS:
        usage = counting.of_days(since, until, at=AT)
        assert usage.total == by_hand(since, until)
        assert usage.total, "there is something to compare"
        assert usage.missing == []


def test_a_day_that_takes_too_long_is_counted_in_halves(monkeypatch):
    rows()
    whole = counting.count_day(date(2026, 3, 4))
    real = counting.sql.USAGE
    monkeypatch.setattr(
        counting.sql,
        "USAGE",
        real.replace(
            "SELECT 'M'",
            "SELECT CASE WHEN pg_sleep(CASE WHEN %(until)s - %(since)s > interval '5 hours'"
            " THEN 2 ELSE 0 END) IS NULL THEN 'M' ELSE 'M' END",
            1,
        ),
    )
    monkeypatch.setattr(counting, "STATEMENT_MS", 50)
    assert counting.count_day(date(2026, 3, 4)) == whole


def test_what_cannot_be_counted_even_in_minutes_is_a_fault(monkeypatch):
    monkeypatch.setattr(counting.sql, "USAGE", "SELECT pg_sleep(1), %(since)s::text, %(until)s::text")
    monkeypatch.setattr(counting, "STATEMENT_MS", 1)
    monkeypatch.setattr(counting, "SHORTEST", timedelta(hours=6))
    with pytest.raises(OperationalError):
        counting.count_day(TODAY)


def test_a_late_receipt_is_in_the_next_count_of_its_day():
    message = sent(AT - timedelta(days=3), state="SENT")
    counting.keep_due(at=AT, seconds=60)
    Message.objects.filter(pk=message.pk).update(state="DELIVERED")
    assert counting.keep_due(at=AT + timedelta(minutes=30), seconds=60) == 0, "counted half an hour ago"
    counting.keep_due(at=AT + timedelta(hours=1), seconds=60)
    assert counting.of_days(*SPANS[0], at=AT).total == by_hand(*SPANS[0])
    assert counting.keep_due(at=AT + timedelta(hours=1), seconds=60) == 0


def test_an_old_day_is_counted_once():
    sent(AT - timedelta(days=40))
    assert counting.keep_due(at=AT, seconds=60) == 40
    assert counting.keep_due(at=AT + timedelta(hours=1), seconds=60) == counting.RECOUNTED_DAYS


def test_today_is_never_kept():
    sent(AT - timedelta(minutes=1))
    counting.keep_due(at=AT, seconds=60)
    assert not CountedDay.objects.exists()
    assert sum(counting.of_days(TODAY, TODAY, at=AT).total.values()) == 1


def test_a_page_names_a_day_that_the_database_gives_up_or_that_takes_too_long(monkeypatch):
    """No fault of a page: a busy day must not take the others' figures away."""
    sent(AT - timedelta(minutes=1))
    monkeypatch.setattr(counting, "DAY_SECONDS", -1.0)
    assert counting.of_days(TODAY, TODAY, at=AT).missing == [TODAY]
    monkeypatch.setattr(counting, "DAY_SECONDS", 8.0)
    assert counting.of_days(TODAY, TODAY, at=AT).missing == []
    monkeypatch.setattr(counting.sql, "USAGE", "SELECT pg_sleep(1), %(since)s::text, %(until)s::text")
    monkeypatch.setattr(counting, "STATEMENT_MS", 1)
    monkeypatch.setattr(counting, "SHORTEST", timedelta(hours=6))
    assert counting.of_days(TODAY, TODAY, at=AT).missing == [TODAY]


def test_a_page_says_which_days_it_could_not_count(monkeypatch):
    sent(AT - timedelta(days=20))
    sent(AT - timedelta(minutes=1))
    monkeypatch.setattr(counting, "LIVE_SECONDS", -1.0)
    usage = counting.of_days(date(2026, 3, 1), TODAY, at=AT)
    assert usage.missing == [date(2026, 3, day) for day in range(1, 10)]
    assert usage.total == Counter()


def test_a_month_that_is_kept_costs_as_much_whatever_its_rows(django_assert_max_num_queries):
    rows()
    counting.keep_due(at=AT, seconds=60)
    with django_assert_max_num_queries(8):
        counting.of_days(date(2026, 2, 1), date(2026, 2, 28), at=AT)


# --- the page -------------------------------------------------------------------------------------------------


@pytest.fixture
def operations(db):
    return staff_browser(roles=("Operaciones",))


def test_the_page_shows_each_partner_and_via(operations):
    bank = PartnerFactory(name="<b>Banco</b>")
    now = timezone.now()
    for state in ("DELIVERED", "DELIVERED", "SENT", "FAILED"):
        sent(now, state=state, partner=bank, provider="twilio")
    token(now, who=make_applicant(partner=bank))
    page = operations.get("/admin/uso/").content.decode()
    assert "&lt;b&gt;Banco&lt;/b&gt;" in page
    assert "<td>2</td><td>1</td><td>0</td><td>1</td><td>0</td><td>0</td><td>0</td><td>4</td>" in page
    assert "<td>1</td><td>1</td><td>1</td></tr>" in page, "asked, delivered, verified"


def test_the_csv_has_every_count_and_their_number(operations):
    now = timezone.now()
    sent(now, state="DELIVERED", partner=PartnerFactory(name="=Banco"), provider="twilio", via="W")
    sent(now, state="DELIVERED", provider="meta", via="W")
    token(now, outcome="CANCELADO")
    answer = operations.get(f"/admin/uso/csv/?mes={now.astimezone(LIMA):%Y-%m}")
    text = answer.content.decode("utf-8-sig")
    read = list(csv.reader(text.splitlines()))
    assert read[0] == list(views.COLUMNS)
    assert read[-1] == ["Total: 3 filas"]
    assert [(row[1], row[5], row[6], row[7]) for row in read[1:-1]] == [
        ("'=Banco", "twilio", "Entregado", "1"),
        ("Sin empresa", "", "Cancelado", "1"),
        ("Sin empresa", "meta", "Entregado", "1"),
    ]
    assert answer["Content-Disposition"].startswith('attachment; filename="uso-')


def test_a_csv_for_a_bill_is_whole_or_not_given(operations, monkeypatch):
    sent(timezone.now() - timedelta(minutes=1))
    monkeypatch.setattr(counting, "LIVE_SECONDS", -1.0)
    answer = operations.get("/admin/uso/csv/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "600")
    assert "Todavía no se han contado" in operations.get("/admin/uso/").content.decode()


@pytest.mark.parametrize("month", ["", "x", "2026-13", "0001-01", "9999-12", "2026-02-01", "1999-12"])
def test_a_month_that_is_none_is_another(operations, month):
    assert operations.get("/admin/uso/", {"mes": month}).status_code == 200


@pytest.mark.parametrize(
    ("role", "status"), [("Administradores", 200), ("Operaciones", 200), ("Auditores", 200), ("Soporte", 403)]
)
def test_who_sees_the_rows_sees_their_sums(role, status):
    http = staff_browser(roles=(role,))
    assert http.get("/admin/uso/").status_code == status
    assert http.get("/admin/uso/csv/").status_code == status
    if status == 200:
        assert 'href="/admin/uso/"' in http.get("/admin/").content.decode()


@pytest.mark.parametrize("missing", views.NEEDS)
def test_each_permission_is_needed(missing):
    rights = [each.split(".")[1] for each in views.NEEDS if each != missing]
    http = staff_browser(*rights, "view_campaign")
    assert http.get("/admin/uso/").status_code == 403
    page = http.get("/admin/?dias=7").content.decode()
    assert "de los últimos" not in page
    assert "/admin/uso/" not in page


@pytest.mark.parametrize("days", [7, 30])
def test_the_first_page_shows_the_last_days(operations, days):
    now = timezone.now()
    token(now, message="DELIVERED")
    token(now - timedelta(days=days - 1), outcome="SIN_RESPUESTA")
    token(now - timedelta(days=days + 1))
    page = operations.get(f"/admin/?dias={days}").content.decode()
    assert f"Códigos de los últimos {days} días" in page
    assert '<p class="name">Pedidos</p><p class="value">2</p>' in page
    assert '<p class="name">Verificados</p><p class="value">1</p>' in page
    assert 'id="board-queues"' not in page
    assert "Códigos de hoy" in operations.get("/admin/?dias=8").content.decode()
