"""The index of events by time, for retention alone, becomes a BRIN index: events are written in about that order.

Each event costs less to write, and the index of 10,000,000 of them is some kB instead of 200 MB. No row is written.

CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken off, it can be run
again.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations

NAME = "events_by_age"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0018_former_clients")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}", migrations.RunSQL.noop),
        AddIndexConcurrently("partnerevent", BrinIndex(fields=["at"], name=NAME, autosummarize=True)),
        RemoveIndexConcurrently("partnerevent", "events_by_time"),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
