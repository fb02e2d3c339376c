"""Indexes of a test twin's outbox, and of suppressions by their message: PostgreSQL looks there when a twin's messages are
deleted.

No row is written, and nobody waits. CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is
longer here. Broken off, it can be run again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

INDEXES = {
    "sandboxmessage": [
        models.Index(fields=["twin", "-id"], name="sandbox_of_a_twin", condition=models.Q(("twin__isnull", False))),
        models.Index(
            models.F("receipt_at"), name="sandbox_receipts_to_come", condition=models.Q(("receipt_at__isnull", False))
        ),
    ],
    "suppression": [
        models.Index(
            models.F("message"), name="suppressions_by_message", condition=models.Q(("message__isnull", False))
        ),
    ],
}  # fmt: skip


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messaging", "0016_twins")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        *[
            operation
            for model, indexes in INDEXES.items()
            for index in indexes
            for operation in (
                # what a migration that was broken off has left
                migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", migrations.RunSQL.noop),
                AddIndexConcurrently(model_name=model, index=index),
            )
        ],
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
