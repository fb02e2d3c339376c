"""Smaller indexes: a message by its provider's id by hash, without the provider's name, and events by their message
alone, of which there are a few each. That of events by id leaves no room in its pages, for they only come and go, in order.

No row is written. CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken
off, it can be run again. Processes of the version before plan with either.
"""

from django.contrib.postgres.indexes import HashIndex
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

MADE = {
    "message": HashIndex("provider_id", name="message_by_provider_id", condition=~models.Q(("provider_id", ""))),
    "messageevent": models.Index("message", name="events_by_message"),
}
GONE = {"message": "message_at_provider", "messageevent": "events_of_a_message"}


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messaging", "0019_trace_id")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        *[
            operation
            for model, index in MADE.items()
            for operation in (
                # what a migration that was broken off has left
                migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", migrations.RunSQL.noop),
                AddIndexConcurrently(model, index),
            )
        ],
        *[RemoveIndexConcurrently(model, name) for model, name in GONE.items()],
        migrations.RunSQL(
            "ALTER INDEX messaging_messageevent_pkey SET (fillfactor = 100)",
            "ALTER INDEX messaging_messageevent_pkey RESET (fillfactor)",
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
