"""How `make chaos` judges the alarms of a fault: its own must come in time, signed, end, and be the only one."""

import json
import re
from datetime import UTC, datetime

import httpx
import pytest

from chaos import alarms, crash_points
from chaos.__main__ import NAMES, POINTS, SCENARIOS
from chaos.alarms import BROKER, CODES, CONVERSION, PROVIDER, SECRET, UNKNOWN, Expected, alarm_log, judge
from chaos.checker import Counts
from chaos.report import table
from config.variables import BASE_DIR
from webhooks import signing


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(alarms, "MAX_SECONDS", 2.0)
    monkeypatch.setattr(alarms, "COUNTED_WITHIN", 0.2)
    with alarm_log() as log:
        log.begin(lambda *_: [])
        yield log


def tell(log, alarm, what="firing", secret=SECRET):
    body = json.dumps({"type": f"alarm.{what}", "data": {"alarm": alarm}})
    headers = signing.headers("alarm_1", body, [secret], at=datetime.now(UTC))
    return httpx.post(log.receiver.url, content=body, headers=headers, trust_env=False).status_code


def judged(log, expected, *, handed_over=0, unknown=0, highest=0.0):
    return judge(log, expected, lambda *_: [(handed_over, unknown, highest)], lambda: None)


def test_its_own_alarm_that_ends_is_right(log):
    log.fault_begins()
    tell(log, BROKER)
    log.fault_ends()
    tell(log, BROKER, "resolved")
    came, faults = judged(log, Expected(BROKER))
    assert faults == []
    assert [(each.alarm, each.seconds < 2, each.resolved is not None) for each in came] == [(BROKER, True, True)]


def test_an_alarm_that_does_not_come_is_wrong(log):
    assert judged(log, Expected(BROKER))[1] == [f"{BROKER} did not come"]


def test_an_alarm_that_comes_late_is_wrong(log):
    log.began -= 3
    tell(log, BROKER)
    tell(log, BROKER, "resolved")
    assert judged(log, Expected(BROKER))[1] == [f"{BROKER} came after 3 s"]


def test_an_alarm_that_does_not_end_is_wrong(log):
    tell(log, BROKER)
    assert "did not end" in judged(log, Expected(BROKER))[1][0]


def test_another_alarm_is_wrong_unless_it_may_come(log):
    for name in (BROKER, CODES):
        tell(log, name)
        tell(log, name, "resolved")
    (fault,) = judged(log, Expected(BROKER))[1]
    assert fault.startswith(f"{CODES} came")
    assert judged(log, Expected(BROKER, frozenset([CODES])))[1] == []
    assert len(judged(log, Expected())[1]) == 2


def test_a_message_that_is_not_signed_with_the_secret_is_wrong(log):
    assert tell(log, BROKER, secret="whsec_" + "B" * 43 + "=") == 400
    faults = judged(log, Expected(may=frozenset([BROKER])))[1]
    assert [each.startswith("an alarm is not signed") for each in faults] == [True]


@pytest.mark.parametrize(
    ("handed_over", "unknown", "highest", "needed", "allowed"),
    [(100, 5, 0.05, True, True), (40, 20, 0.5, False, True), (300, 4, 0.03, False, True), (100, 1, 0.01, False, False)],
)
def test_unknown_messages_raise_their_alarm_by_their_share(log, handed_over, unknown, highest, needed, allowed):
    numbers = {"handed_over": handed_over, "unknown": unknown, "highest": highest}
    assert (judged(log, Expected(), **numbers)[1] == [f"{UNKNOWN} did not come"]) == needed
    tell(log, UNKNOWN)
    assert (judged(log, Expected(), **numbers)[1] == []) == allowed, "it goes on for an hour, which is not waited for"


def test_the_table_has_a_row_for_a_fault_with_the_worst_of_its_runs():
    runs = [("kills", Counts(accepted=300, unknown=3, unknown_taken=1, recovery=each)) for each in (4.0, 31.25)]
    for (_, counts), seconds in zip(runs, (12.0, 20.0), strict=True):
        counts.alarms = [alarms.Came(PROVIDER, seconds, seconds / 10)]
    lines = table([*runs, ("mail", Counts(accepted=1)), ("smsc", Counts(skipped="smpp"))], "2 cores").splitlines()
    assert lines[-3:] == [
        "| kills, 2 times | 600 | 0 | 0 | 0 | 6 (2 taken) | 31.2 | AvalProviderSetAside 20 | 2 |",
        "| mail | 1 | 0 | 0 | 0 | 0 | 0.0 | none |  |",
        "| smsc | not tried: smpp is not installed | | | | | | | |",
    ]


def test_the_published_table_has_every_scenario_with_its_alarm_and_nothing_lost():
    rows = {}
    for line in (BASE_DIR / "docs" / "faults.md").read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| fault"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[re.sub(r", \d+ times$", "", name)] = cells
    names = {name for name in NAMES if name != POINTS} | set(crash_points.POINTS)
    assert set(rows) == names
    for name, (_, lost, twice, late, _, _, came, _) in rows.items():
        assert (lost, twice, late) == ("0", "0", "0"), name
        expected = (
            SCENARIOS[name].expected if name in SCENARIOS else Expected(may=frozenset([PROVIDER, CODES, CONVERSION]))
        )
        alarms_of_row = set(re.findall(r"Aval\w+", came))
        assert {expected.alarm} - {""} <= alarms_of_row, name
        assert alarms_of_row <= {expected.alarm, UNKNOWN, *expected.may}, name
