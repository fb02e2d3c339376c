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

ROOT = settings.BASE_DIR
RULES = ROOT / "ops" / "prometheus" / "aval.rules.yml"
BOARD = ROOT / "ops" / "grafana" / "aval.json"
RUNBOOK = ROOT / "docs" / "runbook.md"
HOUR = timedelta(hours=1)
PROMTOOL = shutil.which("promtool")


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
    yield from ((f"rule {alarm.name}", alarm.condition.expr) for alarm in ALARMS)
    for panel in json.loads(BOARD.read_text())["panels"]:
        yield from ((f"panel {panel['title']}", target["expr"]) for target in panel["targets"])


def test_the_rules_are_those_of_the_list():
    assert RULES.read_text() == text(), "say: manage.py alarm_rules > ops/prometheus/aval.rules.yml"
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [alarm.name for alarm in ALARMS]
    assert [rule["expr"] for rule in group["rules"]] == [alarm.condition.expr for alarm in ALARMS]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: it comes with Debian's prometheus")
def test_prometheus_itself_reads_the_rules():
    """One check more where the tool is; the test above compares the file in any case."""
    done = subprocess.run([PROMTOOL, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
