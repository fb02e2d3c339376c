"""Figures of the dashboard, from rows around a midnight in Lima."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clients.models import Applicant
from clients.rate_limits.redis_client import connection as redis_connection
from conftest import make_applicant
from messaging.models import ProviderState
from support.dashboard import charts, figures
from support.dashboard.figures import normalised_reason
from support.tests.days_rows import AT, HOSTILE, call, sent, token
from tests.factories import LadderForgivenessFactory, PartnerFactory

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 2, 12, 5, 0, tzinfo=UTC)
JUST_BEFORE = MIDNIGHT - timedelta(microseconds=1)


def minutes(n):
    return AT - timedelta(minutes=n)


# --- codes ---------------------------------------------------------------------------------------------------


def test_a_day_begins_at_midnight_in_lima():
    token(MIDNIGHT)
    token(JUST_BEFORE)
    token(AT)  # this second is not over
    token(AT + timedelta(hours=1))
    shown = figures.codes(at=AT + timedelta(microseconds=1))
    assert shown["today"] == [2, 2, 2]
    assert shown["hours"][0]["today"] == [1, 1, 1]
    assert shown["hours"][10]["today"] == [1, 1, 1]


def test_yesterday_counts_up_to_the_same_moment():
    yesterday = AT - timedelta(days=1)
    for at in (yesterday - timedelta(seconds=1), yesterday, JUST_BEFORE, MIDNIGHT - timedelta(days=1)):
        token(at)
    token(MIDNIGHT - timedelta(days=1, microseconds=1))
    shown = figures.codes(at=AT)
    assert shown["today"] == [0, 0, 0]
    assert shown["yesterday"] == [2, 2, 2]
    assert [each["hour"] for each in shown["hours"] if any(each["yesterday"])] == [0, 10]


def test_delivered_is_what_a_receipt_says_and_what_was_typed_back():
    token(minutes(1), outcome="VALIDADO", message="SENT")
    token(minutes(2), outcome="EXPIRADO", message="DELIVERED")
    token(minutes(3), outcome="SIN_RESPUESTA", message="SENT")
    token(minutes(4), outcome="NO_ENVIADO", message="FAILED")
    again = token(minutes(5), outcome="EXPIRADO", message="UNDELIVERED")
    sent(minutes(5), state="DELIVERED", via="W", reference=again.pk)  # the same code by the next via, twice delivered
    sent(minutes(5), state="DELIVERED", via="I", reference=again.pk)
    assert figures.codes(at=AT)["today"] == [5, 3, 1]


def test_the_conversion_is_counted_by_via_and_operator():
    token(minutes(1), via="S", operator="CLARO")
    token(minutes(2), via="S", operator="ENTEL", outcome="EXPIRADO")
    token(minutes(3), via="W", operator="CLARO", outcome="EXPIRADO", message="DELIVERED")
    token(minutes(4), via="C")
    token(JUST_BEFORE, via="I")
    shown = figures.codes(at=AT)
    assert shown["vias"] == [["SMS", 2, 1, 1], ["WhatsApp", 1, 1, 0], ["Llamada (IVR)", 0, 0, 0], ["Correo", 1, 1, 1]]
    assert shown["operators"] == [["CLARO", 2, 2, 1], ["ENTEL", 1, 0, 0]]


def test_the_time_to_verify_is_a_median_and_a_95th_percentile():
    for took in range(1, 101):
        token(minutes(60), took=took)
    token(minutes(60), via="C", took=7)
    token(minutes(60), took=149, outcome="EXPIRADO")
    token(JUST_BEFORE, took=149)
    rows = {name: rest for name, *rest in figures.times(at=AT)["rows"]}
    assert rows["SMS"] == [100, 50, 95]
    assert rows["Correo"] == [1, 7, 7]
    assert rows["Todas"][0] == 101
    assert "WhatsApp" not in rows


# --- failures ------------------------------------------------------------------------------------------------


def test_failures_are_counted_by_state_and_reason():
    for number in range(3):
        sent(
            minutes(1),
            state="FAILED",
            reply=f"550 5.1.1 <c{number}@example.com>: user unknown ({number}7{number}4{number}55)",
        )
    sent(minutes(2), state="UNDELIVERED", reply="30003: el celular está apagado o sin señal")
    sent(minutes(3), state="EXPIRED")
    sent(minutes(3), state="UNKNOWN", kind="boletin", via="C", reply="sin respuesta")
    for state in ("SENT", "DELIVERED", "QUEUED", "SENDING", "CANCELLED"):
        sent(minutes(4), state=state, reply="no")
    sent(JUST_BEFORE, state="FAILED", reply="ayer")
    shown = figures.failures(at=AT)
    assert shown["failed"] == 6
    assert shown["reasons"][0] == ["Fallido", "550 5.1.1 <…>: user unknown (…)", 3]
    assert sorted(shown["reasons"][1:]) == [
        ["No entregado", "30003: el celular está apagado o sin señal", 1],
        ["Sin respuesta clara", "Sin respuesta", 1],
        ["Vencido", "Venció antes de salir", 1],
    ]


def test_codes_not_verified_are_counted_by_outcome():
    token(minutes(5), outcome="FALLIDO")
    token(minutes(6), outcome="SIN_RESPUESTA", message="DELIVERED")
    token(minutes(7), outcome="SIN_RESPUESTA", via="W")
    token(minutes(8), outcome="VALIDADO")
    token(minutes(9), outcome="PENDIENTE")
    token(JUST_BEFORE, outcome="CANCELADO")
    assert figures.codes(at=AT)["outcomes"] == [["Sin respuesta", 2], ["Fallido", 1]]


def test_the_ten_most_frequent_reasons_are_listed_and_the_rest_summed():
    for number in range(26):
        sent(minutes(1), state="FAILED", reply="motivo " + chr(97 + number) * 5)
    shown = figures.failures(at=AT)["reasons"]
    assert len(shown) == 11
    assert shown[-1] == ["", "Otros motivos", 16]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", ""),
        ("   ", ""),
        ("21211: El número no es válido.", "21211: el número no es válido"),
        ("connection to 192.0.2.17 at 10:31:07 lost", "Connection to … at … lost"),
        ("SM0123456789abcdef0123456789abcdef was refused", "… was refused"),
        ("6f1c2a9e-0d3b-4c55-9f00-1234567890ab: tarde", "…: tarde"),
        ("The  Number +51987654321\nis invalid.", "The number +… is invalid"),
        ("x" * 300, "X" + "x" * 59),
        (HOSTILE, HOSTILE.lower()),
    ],
)
def test_a_reason_is_counted_without_its_ids_addresses_and_times(reply, reason):
    assert normalised_reason(reply) == reason


# --- waits ---------------------------------------------------------------------------------------------------


def test_clients_who_must_wait_are_counted_by_their_wait():
    ana, leo, eva = (make_applicant(f"1000000{n}") for n in range(3))
    token(minutes(40), who=ana, outcome="EXPIRADO", rung=1)
    token(minutes(20), who=ana, outcome="EXPIRADO", rung=3)
    token(minutes(1), who=leo, outcome="EXPIRADO", rung=1)
    token(minutes(3), who=eva, outcome="EXPIRADO", rung=1)  # over
    token(minutes(3), who=eva, outcome="EXPIRADO", rung=2, via="W")
    shown = figures.waits(at=AT)
    assert [row[:3] for row in shown["rows"]] == [["2 minutos", 1, 1], ["4 minutos", 2, 1], ["30 minutos", 3, 1]]
    assert shown["clients"] == 3


def test_clients_whose_wait_is_over_or_forgiven_are_not_counted():
    ana, leo, eva, sol = (make_applicant(f"1000000{n}") for n in range(4))
    token(minutes(1), who=ana, outcome="NO_ENVIADO", returned_at=AT)  # its rung was given back
    token(minutes(1), who=leo, outcome="EXPIRADO")
    LadderForgivenessFactory(applicant=leo, at=AT)
    token(minutes(1), who=eva)
    proved = {"proved_via": "S", "proved_destination": "987654321", "validated_at": AT}
    Applicant.objects.filter(pk=eva.pk).update(state="VALIDADO", **proved)
    token(minutes(2), who=sol, outcome="EXPIRADO")  # to the second
    assert figures.waits(at=AT) == {"rows": [], "clients": 0}


def test_the_longer_of_the_two_waits_holds():
    token(minutes(3), outcome="EXPIRADO", destination_wait=timedelta(minutes=30))
    assert [row[:3] for row in figures.waits(at=AT)["rows"]] == [["30 minutos", 3, 1]]


def test_one_client_waits_once_for_each_via():
    for n in (10, 5, 1):
        token(minutes(n), outcome="REEMPLAZADO", rung=3)
    token(minutes(1), outcome="EXPIRADO", rung=3, via="C")
    assert figures.waits(at=AT)["clients"] == 2


# --- queues, providers, traffic ------------------------------------------------------------------------------


def test_a_queue_shows_the_age_of_its_oldest_message():
    sent(minutes(9), state="QUEUED", due=minutes(2))
    sent(minutes(1), state="QUEUED", kind="suscripcion", via="C")
    sent(minutes(1), state="QUEUED", due=AT + timedelta(minutes=1))
    sent(minutes(1), state="SENDING")
    sent(minutes(600), state="QUEUED", kind="boletin", via="C", due=AT + timedelta(minutes=1))
    sent(minutes(600), state="SENT")
    codes, bulk = figures.queues(at=AT)["rows"]
    assert codes == {"queue": "codes", "due": 2, "later": 1, "sending": 1, "oldest": 120.0}
    assert bulk == {"queue": "bulk", "due": 0, "later": 1, "sending": 0, "oldest": 0.0}


def test_a_provider_that_is_set_aside_is_listed_with_its_reason():
    ProviderState.objects.create(name="twilio", set_aside_at=minutes(1), until=AT, reason="3 fallas seguidas")
    ProviderState.objects.create(name="smtp")
    [[name, since, until, reason]] = figures.providers(at=AT)["rows"]
    assert (name, reason) == ("twilio", "3 fallas seguidas")
    assert (datetime.fromisoformat(since), datetime.fromisoformat(until)) == (minutes(1), AT)


def test_traffic_is_counted_by_partner_and_contract():
    bank = PartnerFactory(name="Banco")
    for ms in range(1, 101):
        call(minutes(1), partner=bank, ms=ms, status=400 if ms > 90 else 200)
    call(minutes(1), partner=bank, contract="registry", ms=7)
    call(MIDNIGHT, ms=3, status=429)
    call(JUST_BEFORE, partner=bank)
    assert figures.traffic(at=AT)["rows"] == [
        ["Banco", "informaperu", 100, 10, 95],
        ["Banco", "registry", 1, 0, 7],
        [None, "informaperu", 1, 1, 3],
    ]


# --- no rows -------------------------------------------------------------------------------------------------


def test_on_a_day_without_rows_every_panel_has_an_answer():
    for name in figures.PANELS:
        json.dumps(figures.panel(name, at=AT))
    assert figures.times(at=AT) == {"rows": [["Todas", 0, None, None]]}
    assert figures.failures(at=AT) == {"reasons": [], "failed": 0}


@pytest.mark.parametrize("highest", [0, 1, 3, 4, 7, 9, 10, 11, 49, 99, 1234, 50_000, 10**9])
def test_an_axis_reaches_its_highest_value_in_few_round_steps(highest):
    steps = charts.round_steps(highest)
    assert steps[0] == 0
    assert steps[-1] >= highest
    assert 4 <= len(steps) <= 6
    assert len({b - a for a, b in pairwise(steps)}) == 1


def test_a_chart_without_figures_does_not_divide_by_zero():
    drawn = charts.of_hours([[0, 0, 0]] * 24, [0] * 24)
    assert drawn.bars == []
    assert drawn.before == []
    assert len(drawn.labels) == 8
    assert charts.share(0, 0) == 0


def test_bars_stand_within_the_drawing():
    drawn = charts.of_hours([[hour, hour // 2, hour // 4] for hour in range(24)], [30] * 24)
    for bar in drawn.bars:
        assert bar.x >= charts.LEFT
        assert bar.x + bar.width <= charts.WIDTH
        assert bar.y >= 0
        assert bar.y + bar.height == pytest.approx(charts.HEIGHT - charts.BOTTOM, abs=0.2)


# --- cache ---------------------------------------------------------------------------------------------------


def test_figures_are_cached_for_half_a_minute_with_their_time():
    token(minutes(1))
    first = figures.panel("codes", at=AT)
    token(minutes(1))
    with CaptureQueriesContext(connection) as asked:
        assert figures.panel("codes", at=AT + timedelta(seconds=10)) == first
    assert not asked
    assert datetime.fromisoformat(first["at"]) == AT
    [key] = redis_connection().keys("*dashboard:codes")
    assert 0 < redis_connection().ttl(key) <= 30
    redis_connection().delete(key)
    assert figures.panel("codes", at=AT)["today"] == [2, 2, 2]


def test_without_redis_figures_are_queried_each_time(monkeypatch):
    monkeypatch.setattr(figures.breaker, "closed_until", time.monotonic() + 60)
    token(minutes(1))
    assert figures.panel("codes", at=AT)["today"] == [1, 1, 1]
    token(minutes(1))
    assert figures.panel("codes", at=AT)["today"] == [2, 2, 2]
