"""Alarms: one list, Prometheus' rules and the runbook made from it, and conditions that mean the same in both."""

import json
import re
import shutil
import subprocess
from datetime import timedelta

import pytest
import yaml
from django.conf import settings

from metrics import catalog, gauges
from metrics.alarms import ALARMS
from metrics.conditions import Absent, Figures, Limit, Series, Share
from metrics.prometheus_rules import text
from testkit.skipping import skip_or_fail

ROOT = settings.BASE_DIR
RULES = ROOT / "ops" / "prometheus" / "aval.rules.yml"
BOARD = ROOT / "ops" / "grafana" / "aval.json"
RUNBOOK = ROOT / "docs" / "runbook.md"
HOUR = timedelta(hours=1)


def exported():
    """Names of all series of a scrape."""
    names = {gauge.name for gauge in gauges.GAUGES} | {"aval_build_info"}
    for metric in catalog.COUNTED:
        endings = ("_bucket", "_count", "_sum") if metric.buckets else ("_total",)
        names |= {metric.name + ending for ending in endings}
    return names


def labels_of(name):
    for metric in catalog.COUNTED:
        if name.startswith(metric.name):
            return {*metric.labels, "le"}
    return {label for gauge in gauges.GAUGES if gauge.name == name for label in gauge.labels} | {"version"}


def queries():
    yield from ((f"rule {alarm.name}", alarm.expr) for alarm in ALARMS)
    for panel in json.loads(BOARD.read_text())["panels"]:
        yield from ((f"panel {panel['title']}", target["expr"]) for target in panel["targets"])


def test_the_rules_are_those_of_the_list():
    assert RULES.read_text() == text(), "say: manage.py alarm_rules > ops/prometheus/aval.rules.yml"
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [alarm.name for alarm in ALARMS]
    assert [rule["expr"] for rule in group["rules"]] == [alarm.expr for alarm in ALARMS]


def promtool(*words):
    tool = shutil.which("promtool")
    if tool is None:
        skip_or_fail("promtool is not installed: it comes with Debian's prometheus")
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_itself_reads_the_rules():
    promtool("check", "rules", str(RULES))


SERIES = {
    "aval_build_info": "1x60",
    "aval_redis_up": "1x60",
    "aval_broker_up": "1x60",
    'aval_task_age_seconds{task="tokens.sweep"}': "1x60",
    'aval_queue_oldest_seconds{queue="codes",via="S"}': "0x60",
}
"""A minute before and four after the fault, by five seconds."""
OLDER = "0x11 0+5x47"
"""An age that grows."""


@pytest.mark.parametrize(
    ("changed", "firing"),
    [
        pytest.param({}, set(), id="undisturbed"),
        pytest.param(
            {
                "aval_redis_up": "1x11 0x47",
                "aval_broker_up": "1x11 0x47",
                'aval_task_age_seconds{task="tokens.sweep"}': OLDER,
                'aval_queue_oldest_seconds{queue="codes",via="S"}': OLDER,
            },
            {"AvalBrokerDown"},
            id="Redis, the broker",
        ),
        pytest.param({"aval_redis_up": "1x11 0x47"}, {"AvalRedisDown"}, id="Redis beside RabbitMQ"),
        pytest.param({'aval_task_age_seconds{task="tokens.sweep"}': OLDER}, {"AvalSweepLate"}, id="beat"),
        pytest.param({'aval_queue_oldest_seconds{queue="codes",via="S"}': OLDER}, {"AvalCodesWait"}, id="the worker"),
        pytest.param({"aval_broker_up": "1x11 0 1x46"}, set(), id="a broker that was away for five seconds"),
    ],
)
def test_prometheus_raises_the_alarm_of_a_fault_within_a_minute_and_no_other(tmp_path, changed, firing):
    by_name = {alarm.name: alarm for alarm in ALARMS}

    def expected(name):
        alarm = by_name[name]
        annotations = {"summary": alarm.summary, "runbook": alarm.runbook}
        told = [{"exp_labels": {"severity": alarm.severity}, "exp_annotations": annotations}]
        return {"eval_time": "2m", "alertname": name, "exp_alerts": told if name in firing else []}

    judged_at = [expected(name) for name in by_name]
    before = [each | {"eval_time": "1m", "exp_alerts": []} for each in judged_at]
    series = [{"series": name, "values": values} for name, values in (SERIES | changed).items()]
    tests = [{"interval": "5s", "input_series": series, "alert_rule_test": before + judged_at}]
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "5s", "tests": tests}))
    promtool("test", "rules", str(file))


def test_an_alarm_that_explains_another_stands_before_it():
    names = [alarm.name for alarm in ALARMS]
    for alarm in ALARMS:
        assert not alarm.unless or names.index(alarm.unless) < names.index(alarm.name), alarm.name


@pytest.mark.parametrize(("place", "query"), list(queries()))
def test_every_metric_and_label_that_is_asked_for_is_exported(place, query):
    names = re.findall(r"\baval_\w+", query)
    assert names
    assert set(names) <= exported()
    for name, selector in re.findall(r"(aval_\w+)\{([^}]*)\}", query):
        assert set(re.findall(r"(\w+)(?:=~|!=|=)", selector)) <= labels_of(name), place


def test_every_label_by_which_a_query_groups_is_exported():
    known = {label for each in (*catalog.COUNTED, *gauges.GAUGES) for label in each.labels} | {"le", "version"}
    for _, query in queries():
        for grouped in re.findall(r"\bby \(([^)]*)\)", query):
            assert {each.strip() for each in grouped.split(",")} <= known, query


def test_every_alarm_has_its_section_in_the_runbook_with_its_severity_and_a_step():
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK.read_text(), re.M | re.S))
    assert list(sections) == [alarm.name for alarm in ALARMS]
    for alarm in ALARMS:
        assert f"*{alarm.severity}.*" in sections[alarm.name], alarm.name
        assert len(sections[alarm.name]) > 150, alarm.name


def test_names_are_told_apart():
    assert len({alarm.name for alarm in ALARMS}) == len(ALARMS)


def judged(condition, found=None, counted=()):
    value = condition.value(Figures(found or {}, {HOUR: list(counted)}))
    return None if value is None else condition.holds(value)


def test_a_limit_is_judged_by_the_worst_value_that_counts():
    condition = Limit(gauges.QUEUE_OLDEST, above=15, where=(("queue", ("codes",)),))
    assert condition.expr == 'max(aval_queue_oldest_seconds{queue="codes"}) > 15'
    calm, late = {("codes", "S"): 15.0, ("bulk", "C"): 99.0}, {("codes", "S"): 1.0, ("codes", "W"): 15.1}
    assert judged(condition, {gauges.QUEUE_OLDEST: calm}) is False
    assert judged(condition, {gauges.QUEUE_OLDEST: late}) is True
    assert judged(condition, {}) is None, "what could not be read says nothing"


def test_a_limit_below_is_judged_by_the_lowest_value():
    condition = Limit(gauges.KEY_DAYS, below=7)
    assert condition.expr == "min(aval_key_days_left) < 7"
    assert judged(condition, {gauges.KEY_DAYS: {("a", "jwt"): 300.0, ("b", "jwt"): 6.9}}) is True
    assert judged(condition, {gauges.KEY_DAYS: {("a", "jwt"): 7.0}}) is False


def calls(good, faults):
    return [
        (catalog.REQUESTS.name, {"contract": "registry", "status": "200", "le": "0.1"}, good),
        (catalog.REQUESTS.name, {"contract": "registry", "status": "503", "le": "0.1"}, faults),
        (catalog.CODES.name, {"via": "S", "outcome": "VALIDADO"}, 10**6),
    ]


def test_a_share_is_judged_of_enough():
    condition = Share(
        Series(catalog.REQUESTS, (("status", ("5*",)),)), Series(catalog.REQUESTS), HOUR, 1000, above=0.01
    )
    assert condition.expr == (
        '(sum(increase(aval_request_seconds_count{status=~"5.*"}[60m])) or vector(0))'
        " / sum(increase(aval_request_seconds_count[60m])) > 0.01"
        " and sum(increase(aval_request_seconds_count[60m])) >= 1000"
    )
    assert judged(condition, counted=calls(990, 11)) is True
    assert judged(condition, counted=calls(990, 9)) is False
    assert judged(condition, counted=calls(500, 400)) is False, "too few to judge"


def test_a_share_within_seconds_counts_the_narrower_buckets():
    condition = Share(Series(catalog.HAND_OVER, within=2.0), Series(catalog.HAND_OVER), HOUR, 10, below=0.9)
    assert 'bucket{le="2.0"}' in condition.expr

    def codes(**number):
        return [(catalog.HAND_OVER.name, {"via": "S", "le": le}, count) for le, count in number["of"].items()]

    assert judged(condition, counted=codes(of={"0.5": 50, "2.0": 41, "5.0": 9})) is False
    assert judged(condition, counted=codes(of={"0.5": 50, "2.0": 39, "5.0": 10, "+Inf": 1})) is True


def test_what_only_prometheus_can_tell_is_never_judged_here():
    assert judged(Absent("aval_build_info")) is None
