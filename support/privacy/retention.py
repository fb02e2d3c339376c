"""Nightly retention job over all apps: removes expired rows, one batch of each kind in turn, until the time is up.

It continues where it stopped, since removed rows are not found again. Two jobs at once share the work
(`clients.retention`).
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import Error

import clients.retention
import external_api.retention
import messaging.retention
import metrics.retention
import subscription.retention
import tokens.retention
import webhooks.retention
from clients.retention import BATCH, RetentionRule, delete_sql_of, period_of

log = logging.getLogger(__name__)

STAFF = (
    RetentionRule(
        "sessions",
        "SELECT session_key AS id FROM django_session WHERE expire_date < %(before)s ORDER BY expire_date",
        delete_sql_of("django_session", "session_key"),
        lambda: timedelta(0),  # each row has its own end
    ),
    RetentionRule(
        "logins",
        "SELECT id FROM axes_accessattempt WHERE attempt_time < %(before)s ORDER BY id",
        delete_sql_of("axes_accessattemptexpiration", "access_attempt_id", then=delete_sql_of("axes_accessattempt")),
        period_of("logins"),
    ),
    RetentionRule(
        "login_failures",  # few rows: one for each name that was tried
        "SELECT name AS id FROM clients_loginfailures WHERE last_at < %(before)s ORDER BY name",
        delete_sql_of("clients_loginfailures", "name"),
        period_of("logins"),
    ),
    RetentionRule(
        "login_addresses",
        "SELECT key AS id FROM clients_loginaddress WHERE last_at < %(before)s ORDER BY key",
        delete_sql_of("clients_loginaddress", "key"),
        period_of("logins"),
    ),
    RetentionRule(
        "admin_log",
        "SELECT id FROM django_admin_log WHERE action_time < %(before)s ORDER BY id",
        delete_sql_of("django_admin_log"),
        period_of("admin_log"),
    ),
)

RULES: Sequence[RetentionRule] = (
    *tokens.retention.RULES,  # first what was asked for: the destinations of erased people
    *clients.retention.RULES,
    *messaging.retention.RULES,
    *external_api.retention.RULES,
    *subscription.retention.RULES,
    *webhooks.retention.RULES,
    *metrics.retention.RULES,
    *STAFF,
)

OF_THE_ERASED = [kind for kind in RULES if kind.name.endswith("_of_the_erased")]
"""Rules for rows that could not be removed with their person, and must not wait for the night."""


def run(*, at: datetime, seconds: float, kinds: Sequence[RetentionRule] = RULES) -> Counter[str]:
    """Remove expired rows for at most so many seconds, and log how many of each kind.

    If one kind fails, the others go on: the error is logged and the kind is tried again.
    """
    end = time.monotonic() + seconds
    done: Counter[str] = Counter()
    waiting = list(kinds)
    while waiting and time.monotonic() < end:
        for kind in tuple(waiting):
            try:
                gone = kind.batch(at=at)
            except Error:
                log.exception("a kind of data could not be forgotten", extra={"kind": kind.name})
                gone = 0
            done[kind.name] += gone
            if gone < BATCH:
                waiting.remove(kind)
            if time.monotonic() >= end:
                break
    done = +done
    if done:
        seconds_used = round(seconds - end + time.monotonic(), 1)
        extra = {"rows": dict(done), "unfinished": [kind.name for kind in waiting], "seconds": seconds_used}
        log.info("forgotten", extra=extra)
    return done


def count_expired(*, at: datetime) -> Mapping[str, int]:
    """Number of expired rows of each kind. Changes nothing."""
    return {kind.name: kind.count(at=at) for kind in RULES}
