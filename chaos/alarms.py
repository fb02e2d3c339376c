"""Alarms of a scenario: what the receiver of ALARM_URL was told, and whether that was the alarm of the fault.

The receiver runs in a thread of the scenarios' process, which no fault touches, and verifies each signature.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from config.run.processes import wait_until
from webhooks.tests.receiver import Received, Receiver, receiving

SECRET = "whsec_" + "A" * 43 + "="
MAX_SECONDS = 60.0
"""Limit from the beginning of a fault until its alarm is told, and from its end until that is told."""
PROVIDER, UNKNOWN, BROKER, DATABASE = "AvalProviderSetAside", "AvalUnknown", "AvalBrokerDown", "AvalDatabaseDown"
REDIS, CONVERSION = "AvalRedisDown", "AvalConversionLow"
CODES, SWEEP, DISPATCHER = "AvalCodesWait", "AvalSweepLate", "AvalDispatcherDown"
FIRING, RESOLVED = "alarm.firing", "alarm.resolved"
LEAST_HANDED_OVER, UNKNOWN_SHARE = 50, 0.02
"""When AvalUnknown is to come: as docs/runbook.md says, repeated here so that a changed list is noticed."""
COUNTED_WITHIN = 30.0
"""Seconds within which a change of a message is counted, and the alarm judged by it."""
EVALUATION_SECONDS = 1.0
"""Limit for one evaluation of all alarms."""

Sql = Callable[..., Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class Expected:
    """Alarms of a scenario: the one that must come, and those that may, as its faults are random."""

    alarm: str = ""
    may: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Told:
    """A message that the receiver took."""

    at: float  # seconds since 1970
    type: str
    alarm: str


@dataclass
class Came:
    """An alarm of a scenario. `resolved`: None while it is not."""

    alarm: str
    seconds: float  # from the beginning of the fault
    resolved: float | None = None  # from its end


@dataclass
class AlarmLog:
    """Messages since the scenario began, and the times of its fault in seconds since 1970."""

    receiver: Receiver
    told: list[Told] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # of the messages themselves
    since: float = field(default_factory=time.time)  # the beginning of the scenario
    began: float = field(default_factory=time.time)
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.receiver.answer = self._take

    def _take(self, received: Received) -> int:
        at = time.time()
        try:
            Webhook(SECRET).verify(received.body, received.headers)
        except WebhookVerificationError as fault:
            self.faults.append(f"an alarm is not signed: {fault}")
            return 400
        body = json.loads(received.body)
        self.told.append(Told(at, body["type"], body["data"]["alarm"]))
        return 204

    def begin(self, sql: Sql) -> None:
        """Forget what was told, the states of the alarms, and the counts of the hour."""
        sql("UPDATE metrics_metricminute SET at = at - '2 h'::interval WHERE at > now() - '1 h'::interval")
        time.sleep(EVALUATION_SECONDS)  # one that has read the counts of before would keep and tell what they say
        sql("DELETE FROM metrics_alarmstate")
        self.told.clear()
        self.faults.clear()
        self.since = time.time()
        self.fault_begins()

    def fault_begins(self) -> None:
        """Note that the fault begins now; without it the beginning of the scenario counts."""
        self.began, self.ended = time.time(), 0.0

    def fault_ends(self) -> None:
        """Note that the fault ends now, unless its end was noted before."""
        self.ended = self.ended or time.time()

    def wait_for(self, alarm: str) -> None:
        """Let the fault go on until its alarm has come, at most MAX_SECONDS of it."""
        wait_until(lambda: self.first(FIRING, alarm) is not None, max(0.0, self.began + MAX_SECONDS - time.time()))

    def first(self, what: str, alarm: str) -> float | None:
        return next((each.at for each in self.told if (each.type, each.alarm) == (what, alarm)), None)

    def came(self) -> list[Came]:
        """The alarms in their order. One that ended before the fault, which came and went, ended after 0 s."""
        found = []
        for alarm in dict.fromkeys(each.alarm for each in self.told if each.type == FIRING):
            at = self.first(FIRING, alarm) or 0.0
            over = None if self._is_firing(alarm) else max(each.at for each in self.told if each.alarm == alarm)
            resolved = None if over is None else max(0.0, over - (self.ended or over))
            found.append(Came(alarm, max(0.0, at - self.began), resolved))
        return found

    def _is_firing(self, alarm: str) -> bool:
        return [each.type for each in self.told if each.alarm == alarm][-1] == FIRING

    def firing(self) -> set[str]:
        return {each.alarm for each in self.told if self._is_firing(each.alarm)}


def judge(log: AlarmLog, expected: Expected, sql: Sql, nudge: Callable[[], None]) -> tuple[list[Came], list[str]]:
    """The alarms that came, and what is wrong with them. Waits for what must still come and for the end of each.

    `nudge` is called meanwhile: a provider that is set aside comes back with a message only. AvalUnknown goes on for
    an hour, which is not waited for.
    """
    log.fault_ends()
    must, may = ({expected.alarm} if expected.alarm else set()), set(expected.may)
    if expected.alarm:
        log.wait_for(expected.alarm)
    is_needed, is_possible = _unknown_expected(sql, log.since)
    if is_needed:
        wait_until(lambda: log.first(FIRING, UNKNOWN) is not None, COUNTED_WITHIN)
        must.add(UNKNOWN)
    elif is_possible:
        may.add(UNKNOWN)
    end = time.monotonic() + MAX_SECONDS
    while log.firing() - {UNKNOWN} and time.monotonic() < end:
        nudge()
        time.sleep(0.5)
    came = log.came()
    return came, [*log.faults, *_faults(came, must, may)]


def _faults(came: Sequence[Came], must: set[str], may: set[str]) -> Iterator[str]:
    known = {each.alarm: each for each in came}
    for name in sorted(must):
        if name not in known:
            yield f"{name} did not come"
        elif name != UNKNOWN and known[name].seconds > MAX_SECONDS:
            yield f"{name} came after {known[name].seconds:.0f} s"
    for each in came:
        if each.alarm not in must | may:
            yield f"{each.alarm} came, {each.seconds:.0f} s after the beginning, and should not"
        if each.alarm != UNKNOWN and (each.resolved is None or each.resolved > MAX_SECONDS):
            yield f"{each.alarm} did not end within {MAX_SECONDS:.0f} s of the fault"


def _unknown_expected(sql: Sql, since: float) -> tuple[bool, bool]:
    """Whether AvalUnknown must come, by the share at the end, and whether it may, by the highest one on the way."""
    ((handed_over, unknown, highest),) = sql(SHARES, LEAST_HANDED_OVER * 4 // 5, since)
    share = unknown / handed_over if handed_over else 0.0
    is_needed = handed_over >= 1.1 * LEAST_HANDED_OVER and share > 1.2 * UNKNOWN_SHARE
    return is_needed, highest > 0.8 * UNKNOWN_SHARE


SHARES = """
    SELECT coalesce(max(handed_over), 0), coalesce(max(unknown), 0),
        coalesce(max(unknown::float8 / handed_over) FILTER (WHERE handed_over >= %s), 0)
    FROM (
        SELECT count(*) FILTER (WHERE state = 'SENDING') OVER so_far AS handed_over,
            count(*) FILTER (WHERE state = 'UNKNOWN') OVER so_far AS unknown
        FROM messaging_messageevent WHERE at >= to_timestamp(%s) WINDOW so_far AS (ORDER BY at, id)
    ) AS events
"""
"""Messages handed over and without an outcome in the end, and their highest share once enough were handed over."""


@contextmanager
def alarm_log() -> Iterator[AlarmLog]:
    with receiving() as receiver:
        yield AlarmLog(receiver)
