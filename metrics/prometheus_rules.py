"""Rules for Prometheus, made from the list of alarms: ops/prometheus/aval.rules.yml.

`manage.py alarm_rules` prints them; a test compares the file.
"""

from collections.abc import Iterable

from metrics.alarms import ALARMS, Alarm

_HEAD = """\
# Alarms of Aval, made by `manage.py alarm_rules` from metrics/alarms.py: change them there.
groups:
  - name: aval
    interval: 5s
    rules:
"""


def text(alarms: Iterable[Alarm] = ALARMS) -> str:
    return _HEAD + "".join(map(_rule, alarms))


def _rule(alarm: Alarm) -> str:
    lasting = int(alarm.lasting.total_seconds())
    return f"""\
      - alert: {alarm.name}
        expr: {_quoted(alarm.expr)}
        for: {lasting}s
        labels: {{severity: {alarm.severity}}}
        annotations:
          summary: {_quoted(alarm.summary)}
          runbook: {alarm.runbook}
"""


def _quoted(words: str) -> str:
    """Single-quoted YAML."""
    return "'" + words.replace("'", "''") + "'"
