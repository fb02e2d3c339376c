"""Sweeps while the statistics of PostgreSQL still say that nothing is queued, as at the beginning of a campaign.

A statement that joins with `id IN (SELECT ... LIMIT ...)` then runs the inner query once per queued row. Twenty
thousand rows of history are enough for such a plan. With such statements a sweep took three to six seconds,
and its statements reached their time limit.
"""

import json
import re
import time
import uuid
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from messaging import sql, steps
from messaging.delivery import send, sweeper
from messaging.models import Message
from messaging.queue import channel_fallback
from messaging.queue.names import BATCH
from messaging.tests.campaign_steps import campaign
from messaging.transitions_sql import RECORD_SENT

pytestmark = pytest.mark.django_db

HISTORY, QUEUED = 20_000, 5_000
MAX_SECONDS = 0.2
"""Seconds for a sweep."""


def insert(count, **changes):
    """Make `count` messages in one statement."""
    at = timezone.now()
    row = {
        "kind": "boletin",
        "via": "C",
        "subject": "",
        "text": "",
        "html": "",
        "attempts": 0,
        "provider": "",
        "provider_id": "",
        "provider_reply": "",
        "created_at": at,
        "next_attempt_at": at,
        **changes,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messaging_message (id, recipient, {', '.join(row)})"
            f" SELECT gen_random_uuid(), n || '@example.com', {', '.join(['%s'] * len(row))}"
            " FROM generate_series(1, %s::int) AS n",
            [*row.values(), count],
        )


@pytest.fixture
def history():
    """Settled messages, and statistics that were taken while there were no others."""
    insert(HISTORY, state="SENT", created_at=timezone.now() - timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message")


def seconds(act):
    """The shortest of three runs, each rolled back, because the machine is shared; then one run that is committed."""
    found = []
    for _ in range(3):
        undo = transaction.savepoint()
        began = time.monotonic()
        act()
        found.append(time.monotonic() - began)
        transaction.savepoint_rollback(undo)
    act()
    return min(found)


@pytest.mark.usefixtures("history")
def test_a_sweep_of_a_queue_that_the_statistics_do_not_know_is_quick():
    insert(QUEUED, state="QUEUED")
    steps.failures.clear()
    at = timezone.now()
    assert seconds(lambda: sweeper.sweep(at=at)) < MAX_SECONDS
    assert not steps.failures


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("rows", "to"),
    [
        ({"state": "QUEUED", "kind": "verificacion", "dies": -1}, "EXPIRED"),
        ({"state": "SENDING", "leased": -1}, "QUEUED"),
        ({"state": "SENDING", "leased": -1, "handed_over": -9}, "UNKNOWN"),
    ],
)
def test_a_step_takes_what_one_statement_may_hold_and_is_quick(rows, to):
    at = timezone.now()
    times = {"dies": "send_before", "leased": "lease_until", "handed_over": "handed_over_at"}
    changes = {times.get(k, k): at + timedelta(seconds=v) if k in times else v for k, v in rows.items()}
    if "lease_until" in changes:
        changes["claim_id"] = uuid.uuid4()
    insert(QUEUED, **changes)
    steps.failures.clear()
    assert seconds(lambda: sweeper.sweep(at=at)) < 2 * MAX_SECONDS  # five hundred rows are written
    assert Message.objects.filter(state=to).count() == sql.SWEEP_SIZE
    assert not steps.failures


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(("queue", "kind"), [("codes", "verificacion"), ("bulk", "boletin")])
def test_a_claim_is_quick(queue, kind):
    insert(QUEUED, state="QUEUED", kind=kind)
    at = timezone.now()
    assert seconds(lambda: send.claim(queue, at=at)) < MAX_SECONDS
    assert Message.objects.filter(state="SENDING").count() == BATCH[queue]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("statement", "state"), [(sql.CLAIM_AND_HAND_OVER, "QUEUED"), (sql.HAND_OVER_BULK, "SENDING")], ids=["both", "then"]
)
def test_a_hand_over_reads_no_other_messages_of_its_campaign(statement, state):
    """While the statistics know of no campaign, its other messages look like none."""
    one = campaign(state="SENDING")
    claim, at = uuid.uuid4(), timezone.now()
    insert(QUEUED, state=state, claim_id=claim, lease_until=at, campaign_id=one.pk)
    ids = list(Message.objects.filter(campaign=one).values_list("pk", flat=True)[:10])
    values = {"ids": ids, "claim": claim, "at": timezone.now(), "lease": at, "provider": "x"}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    found = re.findall(r"Scan (?:using|on) (\w*message\w*)", plan)
    read = {name for name in found if name not in ("messaging_message", "messaging_messageevent")}
    assert read <= {"message_due", "message_leased", "messaging_message_pkey"}, plan
    assert "Seq Scan on messaging_message" not in plan


@pytest.mark.usefixtures("history")
def test_the_sweeps_of_gateway_queues_and_seals_are_quick():
    at = timezone.now()
    insert(QUEUED, state="QUEUED", lane="smpp:1", next_attempt_at=at - timedelta(minutes=1))
    insert(QUEUED, state="FAILED", kept_until=at - timedelta(minutes=1))
    assert seconds(lambda: sweeper.free_gateway_queues(at=at)) < MAX_SECONDS
    assert seconds(lambda: channel_fallback.drop_expired_seals(at=at)) < MAX_SECONDS
    assert Message.objects.filter(gateway_queue="", state="QUEUED").count() == sql.SWEEP_SIZE
    assert Message.objects.filter(kept_until__isnull=True, state="FAILED").count() == sql.FALLBACK_SIZE


@pytest.mark.parametrize("table", ["messaging_message", "tokens_verificationtoken"])
def test_the_statistics_of_a_table_that_changes_all_the_time_follow_its_changes(table):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [table])
        assert {"autovacuum_analyze_scale_factor=0", "autovacuum_analyze_threshold=10000"} <= set(cursor.fetchone()[0])


def test_a_record_of_ten_messages_reads_no_others():
    """The planner takes a list in JSON for a hundred rows, and would read a whole table of a few thousand instead."""
    at = timezone.now()
    insert(QUEUED, state="SENDING", claim_id=uuid.uuid4(), lease_until=at, handed_over_at=at)
    some = Message.objects.values_list("id", "claim_id")[:10]
    rows = [{"id": str(id), "claim": str(claim), "provider_id": "", "reply": "", "at": str(at)} for id, claim in some]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message")
        cursor.execute(f"EXPLAIN {RECORD_SENT}", {"answers": json.dumps(rows)})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on messaging_message" not in plan
