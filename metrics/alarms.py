"""Alarms: one list, from which Prometheus' rules are made and which `ALARM_URL` is told by.

docs/runbook.md says what each means and what to do; tests hold the list, the rules and the page to each other.
"""

from dataclasses import dataclass
from datetime import timedelta

from metrics import catalog, gauges
from metrics.conditions import Absent, Condition, Limit, Series, Share
from metrics.service_levels import FAULTS, WITHIN_2S, WITHIN_10S

HOUR = timedelta(hours=1)
IMMEDIATELY, SOON, LATER = timedelta(0), timedelta(seconds=15), timedelta(minutes=5)
"""Times for which a condition must hold."""
PAGE, TICKET = "page", "ticket"
"""Severities: somebody must come now, or in the hours of the office."""
DATABASE_DOWN, BROKER_DOWN = "AvalDatabaseDown", "AvalBrokerDown"
"""Alarms that are the cause of others."""


@dataclass(frozen=True, slots=True)
class Alarm:
    name: str
    summary: str
    severity: str
    condition: Condition
    lasting: timedelta = IMMEDIATELY
    unless: str = ""
    """Alarm before it in the list. While that one fires, this one is not judged: it would be a consequence."""

    @property
    def expr(self) -> str:
        """PromQL of the whole rule."""
        if not self.unless:
            return self.condition.expr
        return f'({self.condition.expr}) unless on() ALERTS{{alertname="{self.unless}",alertstate="firing"}}'

    @property
    def runbook(self) -> str:
        """Anchor of its section in docs/runbook.md."""
        return f"docs/runbook.md#{self.name.lower()}"


_CODES = (("queue", ("codes",)),)
_BULK = (("queue", ("bulk",)),)
_SWEEPS = (("task", ("messaging.sweep", "tokens.sweep", "metrics.sweep")),)

ALARMS: tuple[Alarm, ...] = (
    Alarm("AvalNotScraped", "Prometheus gets no metrics of Aval.", PAGE, Absent("aval_build_info"), SOON),
    Alarm(DATABASE_DOWN, "PostgreSQL does not answer.", PAGE, Limit(gauges.DATABASE_UP, below=1), SOON),
    Alarm(
        BROKER_DOWN,
        "The broker, Redis or RabbitMQ, does not answer: codes do not leave.",
        PAGE,
        Limit(gauges.BROKER_UP, below=1),
        SOON,
    ),
    Alarm(
        "AvalRedisDown",
        "Redis, which is not the broker, does not answer.",
        PAGE,
        Limit(gauges.REDIS_UP, below=1),
        SOON,
        unless=BROKER_DOWN,
    ),
    Alarm(
        "AvalSweepLate",
        "A sweep has not done its work for 25 s: beat or the process periodic stands still.",
        PAGE,
        Limit(gauges.TASK_AGE, above=25, where=_SWEEPS),
        SOON,
        unless=BROKER_DOWN,
    ),
    Alarm(
        "AvalCodesWait",
        "A code has been due for more than 15 s and no worker takes it.",
        PAGE,
        Limit(gauges.QUEUE_OLDEST, above=15, where=_CODES),
        SOON,
        unless=BROKER_DOWN,
    ),
    Alarm(
        "AvalProviderSetAside",
        "A provider is set aside; messages go by the next one, if there is one.",
        PAGE,
        Limit(gauges.PROVIDER_OPEN, above=0),
    ),
    Alarm(
        "AvalUnknown",
        "Of 2 % of the messages handed over in an hour nobody knows whether they were sent.",
        PAGE,
        Share(
            Series(catalog.MESSAGES, (("state", ("UNKNOWN",)),)),
            Series(catalog.MESSAGES, (("state", ("SENDING",)),)),
            HOUR,
            50,
            above=0.02,
        ),
    ),
    Alarm(
        "AvalCodesLate2s",
        "Less than 99 % of an hour's codes were handed over within 2 s.",
        TICKET,
        Share(Series(catalog.HAND_OVER, within=2.0), Series(catalog.HAND_OVER), HOUR, 200, below=WITHIN_2S),
        LATER,
    ),
    Alarm(
        "AvalCodesLate10s",
        "Less than 99.9 % of an hour's codes were handed over within 10 s.",
        PAGE,
        Share(Series(catalog.HAND_OVER, within=10.0), Series(catalog.HAND_OVER), HOUR, 2_000, below=WITHIN_10S),
        LATER,
    ),
    Alarm(
        "AvalApiFaults",
        "Of an hour's calls more than 0.05 % were answered 5xx.",
        PAGE,
        Share(Series(catalog.REQUESTS, (("status", ("5*",)),)), Series(catalog.REQUESTS), HOUR, 4_000, above=FAULTS),
        LATER,
    ),
    Alarm(
        "AvalConversionLow",
        "Less than a third of an hour's codes were verified.",
        TICKET,
        Share(Series(catalog.CODES, (("outcome", ("VALIDADO",)),)), Series(catalog.CODES), HOUR, 100, below=0.33),
        LATER,
    ),
    Alarm(
        "AvalBulkWaits",
        "A bulletin or an alert has been due for half an hour.",
        TICKET,
        Limit(gauges.QUEUE_OLDEST, above=1_800, where=_BULK),
    ),
    Alarm(
        "AvalComplaints",
        "Of the mails of a week 0.3 % were reported as spam: mail services block such senders.",
        PAGE,
        Limit(gauges.COMPLAINTS, above=0.003),
    ),
    Alarm("AvalBounces", "Of the mails of a week 5 % came back.", TICKET, Limit(gauges.BOUNCES, above=0.05)),
    Alarm(
        "AvalDispatcherDown",
        "Events have waited for 20 s to be taken over for webhooks: the process webhooks stands still.",
        PAGE,
        Limit(gauges.TAKE_OVER_LAG, above=20),
        SOON,
    ),
    Alarm(
        "AvalWebhooksWait",
        "A delivery to a webhook has been due for five minutes and is not tried.",
        TICKET,
        Limit(gauges.WEBHOOK_OLDEST, above=300),
    ),
    Alarm(
        "AvalFeedHeldUp",
        "A transaction has been open for a minute, and the feed of events waits for it.",
        TICKET,
        Limit(gauges.FEED_LAG, above=60),
    ),
    Alarm(
        "AvalRetentionLate",
        "The nightly retention has not run for 30 hours.",
        TICKET,
        Limit(gauges.TASK_AGE, above=108_000, where=(("task", ("support.forget",)),)),
    ),
    Alarm(
        "AvalKeyEnds", "A company's last key ends within a week, or has ended.", TICKET, Limit(gauges.KEY_DAYS, below=7)
    ),
    Alarm(
        "AvalScrapeErrors",
        "A figure of the metrics cannot be read.",
        TICKET,
        Limit(gauges.ERRORS, above=0),
        LATER,
        unless=DATABASE_DOWN,
    ),
)
