"""Gauges: each from live rows, and none from a table that grows."""

import re
import socket
import time
from datetime import timedelta
from functools import partial
from unittest.mock import patch

import pytest
from celery import current_app
from django.db import OperationalError, connection, transaction
from kombu.connection import Connection

from clients.credentials import issue
from clients.models import Credential
from clients.rate_limits.redis_client import breaker
from conftest import NOW
from messaging.models import ProviderState
from messaging.steps import failures
from metrics import gauges, gauges_sql, sql, task_runs
from metrics.gauges import read_all
from tests.factories import DeliveryFactory, EndpointFactory, MessageFactory, PartnerFactory
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def gateways(settings):
    settings.SANDBOX = True
    settings.AVAL_GATEWAYS = {via: ("sandbox://",) for via in "SWIC"}


def value(gauge, *labels):
    return read_all(at=NOW).values[gauge][labels]


def test_the_queue_shows_what_is_due_and_how_long_the_oldest_has_been():
    MessageFactory(created_at=NOW - 9 * SECOND)
    MessageFactory(created_at=NOW - 3 * SECOND)
    MessageFactory(created_at=NOW, next_attempt_at=NOW + 5 * SECOND)
    MessageFactory(created_at=NOW - 60 * SECOND, kind="boletin", via="C")
    MessageFactory(created_at=NOW - 99 * SECOND, state="SENDING")
    found = read_all(at=NOW).values
    assert found[gauges.QUEUE_DUE]["codes", "S"] == 2
    assert found[gauges.QUEUE_OLDEST]["codes", "S"] == 9
    assert (found[gauges.QUEUE_DUE]["bulk", "C"], found[gauges.QUEUE_OLDEST]["bulk", "C"]) == (1, 60)
    assert (found[gauges.QUEUE_DUE]["codes", "W"], found[gauges.QUEUE_OLDEST]["codes", "W"]) == (0, 0)
    assert found[gauges.SENDING]["S",] == 1


def test_messages_of_test_twins_are_in_no_gauge(twin):
    for state in ("QUEUED", "SENDING", "UNKNOWN"):
        MessageFactory(state=state, created_at=NOW - SECOND, partner=twin.partner)
    found = read_all(at=NOW).values
    for gauge in (gauges.QUEUE_DUE, gauges.SENDING, gauges.UNKNOWN):
        assert set(found[gauge].values()) == {0}


def test_unknown_messages_of_the_last_hour():
    MessageFactory(state="UNKNOWN", created_at=NOW - HOUR + SECOND)
    MessageFactory(state="UNKNOWN", created_at=NOW - HOUR - SECOND)
    assert value(gauges.UNKNOWN, "S") == 1


def test_a_provider_is_open_while_it_is_set_aside():
    assert value(gauges.PROVIDER_OPEN, "sandbox") == 0
    ProviderState.objects.create(name="sandbox", set_aside_at=NOW, reason="juan@dominio.com")
    ProviderState.objects.create(name="formerly used", set_aside_at=NOW)
    assert read_all(at=NOW).values[gauges.PROVIDER_OPEN] == {("sandbox",): 1}


def test_the_age_of_a_task_is_that_of_its_last_whole_run(monkeypatch):
    monkeypatch.setattr(task_runs, "_noted", {})
    monkeypatch.setattr(task_runs, "_failures", {})
    failures.clear()  # of the steps that other tests let fail
    monkeypatch.setattr(task_runs.timezone, "now", lambda: NOW - 7 * SECOND)
    task_runs.note("messaging.sweep")
    task_runs.note("not one of ours")
    assert read_all(at=NOW).values[gauges.TASK_AGE] == {("messaging.sweep",): 7}


def test_a_sweep_with_a_step_that_failed_has_not_run(monkeypatch):
    monkeypatch.setattr(task_runs, "_noted", {})
    monkeypatch.setattr(task_runs, "_failures", {})
    failures["tokens.sweep.close_expired"] += 1
    task_runs.note("tokens.sweep")
    assert task_runs.last_runs() == {}
    task_runs.note("tokens.sweep")
    assert set(task_runs.last_runs()) == {"tokens.sweep"}, "the next one, whose steps did not fail"


def test_every_noted_task_is_in_the_schedule():
    assert set(task_runs.TASKS) <= set(current_app.conf.beat_schedule)


def test_the_backlog_of_webhooks_is_that_of_active_ones():
    endpoint = EndpointFactory(created_at=NOW)
    DeliveryFactory(endpoint=endpoint, status="PENDING", created_at=NOW - 50 * SECOND, next_try_at=NOW - 40 * SECOND)
    DeliveryFactory(endpoint=endpoint, status="PENDING", created_at=NOW, next_try_at=NOW + 40 * SECOND)
    paused = EndpointFactory(status="PAUSED", stopped_at=NOW)
    DeliveryFactory(endpoint=paused, status="PENDING", created_at=NOW - DAY, next_try_at=NOW - DAY)
    assert (value(gauges.WEBHOOK_BACKLOG), value(gauges.WEBHOOK_OLDEST)) == (2, 40)


def test_events_that_no_dispatcher_takes_over_are_late():
    endpoint = EndpointFactory(created_at=NOW)
    paused = EndpointFactory(status="PAUSED", stopped_at=NOW)
    with connection.cursor() as cursor:
        for each, seconds in ((endpoint, 30), (endpoint, 20), (paused, 90)):
            cursor.execute(
                "INSERT INTO clients_partnerevent (partner_id, type, subject, at, data, xid)"
                " VALUES (%s, 'key.expiring', 'x', %s, '{}', '3')",  # of a transaction long before
                [each.partner_id, NOW - seconds * SECOND],
            )
    Endpoint.objects.update(cursor_xid=1, cursor_event_id=0)
    assert value(gauges.TAKE_OVER_LAG) == 30
    full = [DeliveryFactory(endpoint=endpoint, status="PENDING", created_at=NOW, next_try_at=NOW) for _ in range(3)]
    assert value(gauges.TAKE_OVER_LAG) == 30
    with patch.object(Endpoint, "MOST_OPEN", len(full)):
        assert value(gauges.TAKE_OVER_LAG) == 0, "it takes over none while so many are open"


def test_a_broker_that_is_not_redis_is_asked_for_a_connection(settings, monkeypatch):
    assert value(gauges.BROKER_UP) == 1
    settings.REDIS_IS_BROKER = False
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//"
        monkeypatch.setattr(gauges.current_app, "connection_for_write", partial(Connection, url))
        monkeypatch.setattr(gauges.broker, "closed_until", 0.0)
        began = time.monotonic()
        assert value(gauges.BROKER_UP) == 0, "it accepts the connection and says nothing"
        assert time.monotonic() - began < 3
        assert value(gauges.REDIS_UP) == 1
    monkeypatch.setattr(gauges.broker, "closed_until", 0.0)
    assert value(gauges.BROKER_UP) == 0, "it refuses"
    monkeypatch.setattr(gauges.broker, "closed_until", 0.0)


def test_days_to_the_end_of_a_companys_last_key():
    one, two = PartnerFactory(name="Banco Uno"), PartnerFactory(name="Banco Dos")
    for partner in (one, two):
        issue(partner, Credential.Kind.JWT, at=NOW, by="test")
        Credential.objects.filter(partner=partner).update(expires_at=NOW + 5 * DAY)
    issue(two, Credential.Kind.JWT, at=NOW, by="test")  # rotated: there is a newer one, of a year
    days = read_all(at=NOW).values[gauges.KEY_DAYS]
    assert days["banco-uno", "jwt"] == 5
    assert days["banco-dos", "jwt"] > 300


def test_redis_that_does_not_answer_is_down():
    assert value(gauges.REDIS_UP) == 1
    breaker.closed_until = float("inf")
    assert value(gauges.REDIS_UP) == 0


def test_a_reading_that_fails_is_counted_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(gauges_sql, "SENDING", "SELECT no_such_column FROM messaging_message")
    snapshot = read_all(at=NOW)
    assert snapshot.errors == 1
    assert gauges.SENDING not in snapshot.values
    assert gauges.UNKNOWN in snapshot.values
    assert snapshot.is_database_up


def test_a_database_that_is_away_is_asked_once(monkeypatch):
    asked = []

    def away(*args, **kwargs):
        asked.append(args)
        raise OperationalError("away")

    monkeypatch.setattr(gauges, "_rows", away)
    snapshot = read_all(at=NOW)
    assert (snapshot.is_database_up, snapshot.errors) == (False, len(gauges.READINGS))
    assert len(asked) == 2, "the first reading, and whether the server answers"


BIG = {
    "messaging_message": {"message_due", "message_leased", "message_went_wrong"},
    "webhooks_delivery": {"open_deliveries_of_an_endpoint"},
    "tokens_verificationtoken": {"tokens_to_close"},
    "messaging_messageevent": set(),
    "clients_partnerevent": {"feed_of_a_partner"},
    "external_api_apirequest": set(),
    "metrics_metricminute": set(),
}
"""Tables that grow, and their partial indexes of live rows."""
READ_AT_A_SCRAPE = {
    name: text for name, text in vars(gauges_sql).items() if not name.startswith("_") and isinstance(text, str)
} | {"TOTALS": sql.TOTALS, "OLDEST_OPEN_CODE": sql.OLDEST_OPEN_CODE}


OTHER_INDEXES = """
    SELECT index.relname, base.relname, conname FROM pg_index
    JOIN pg_class AS index ON index.oid = indexrelid JOIN pg_class AS base ON base.oid = indrelid
    LEFT JOIN pg_constraint ON conindid = indexrelid AND conrelid = indrelid
    WHERE base.relname = ANY (%(big)s) AND index.relname <> ALL (%(live)s)
"""


def drop_other_indexes(cursor):
    """Leave the big tables their indexes of live rows alone.

    Which index the planner takes of several depends on rows that earlier tests left; whether one of these is enough
    does not.
    """
    cursor.execute(OTHER_INDEXES, {"big": list(BIG), "live": list(set().union(*BIG.values()))})
    others = cursor.fetchall()
    assert len(others) > 20
    for index, table, constraint in others:
        drop = f"ALTER TABLE {table} DROP CONSTRAINT {constraint} CASCADE" if constraint else f"DROP INDEX {index}"
        cursor.execute(drop)


def plan_of(statement):
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    text = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement)
    with transaction.atomic(), connection.cursor() as cursor:
        drop_other_indexes(cursor)
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (GENERIC_PLAN) {text}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        transaction.set_rollback(True)
    return plan


def ways_into(plan):
    """(table, index) of each scan of a plan; without an index, None."""
    for match in re.finditer(r"(?:Seq Scan on|Index (?:Only )?Scan(?: Backward)? using (\w+) on) (\w+)", plan):
        yield match[2], match[1]
    for match in re.finditer(r"Bitmap Index Scan on (\w+)", plan):
        table = next((table for table, live in BIG.items() if match[1] in live), match[1])
        yield table, match[1]


@pytest.mark.parametrize("name", READ_AT_A_SCRAPE)
def test_no_gauge_reads_a_table_that_grows(name):
    for table, index in ways_into(plan_of(READ_AT_A_SCRAPE[name])):
        assert table not in BIG or index in BIG[table], (table, index)


def test_a_statement_that_reads_all_messages_would_be_noticed():
    found = dict(ways_into(plan_of("SELECT count(*) FROM messaging_message WHERE text = %(at)s")))
    assert found.get("messaging_message", "") not in BIG["messaging_message"]
