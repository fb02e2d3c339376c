"""Indexes that bulletins are not in: those of messages by their end and by their reference, which bulletins do not have.

They had an entry in each for every version of their row, and the planner could take the first for the queue. No row is
written; the rest is as in 0020.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

MADE = (
    models.Index(
        "send_before",
        name="message_to_expire",
        condition=models.Q(send_before__isnull=False, state__in=["QUEUED", "SENDING"]),
    ),
    models.Index("reference", name="message_of_reference", condition=models.Q(reference__isnull=False)),
)
GONE = ("message_dying", "message_by_reference")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messaging", "0020_smaller_indexes")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        *[
            operation
            for index in MADE
            for operation in (
                # what a migration that was broken off has left
                migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", migrations.RunSQL.noop),
                AddIndexConcurrently("message", index),
            )
        ],
        *[RemoveIndexConcurrently("message", name) for name in GONE],
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
