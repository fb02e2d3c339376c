"""Indexes that a code's message was written into three or four times for nobody: by credential, by which nothing is
searched; by campaign, which the partial index of `one_message_per_campaign_and_client` serves; and that of a campaign's
waiting messages, which now leaves out messages without a campaign.

No row is written, and nobody waits: processes of the version before plan with what is there. CONCURRENTLY waits for the
transactions that are running, an export's ten minutes too, so `lock_timeout` is longer here. Broken off, it can be run
again.
"""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

UNUSED = {
    "credential": "messaging_message_credential_id_c92230d7",
    "campaign": "messaging_message_campaign_id_cc233015",
}
"""Django's names of the indexes of foreign keys."""


def _without_index(column: str, index: str) -> migrations.RunSQL:
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {index}"
    return migrations.RunSQL([drop], [drop, f"CREATE INDEX CONCURRENTLY {index} ON messaging_message ({column}_id)"])


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("messaging", "0012_gateway_queue"), ("clients", "0009_sealed_authenticators")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        # what a migration that was broken off has left
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS campaign_messages_waiting", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(
                models.F("campaign"),
                name="campaign_messages_waiting",
                condition=models.Q(("campaign__isnull", False), ("state__in", ["QUEUED", "SENDING"])),
            ),
        ),
        RemoveIndexConcurrently(model_name="message", name="message_waiting"),
        migrations.RunSQL(migrations.RunSQL.noop, "DROP INDEX CONCURRENTLY IF EXISTS message_waiting"),
        migrations.SeparateDatabaseAndState(
            database_operations=[_without_index(column, index) for column, index in UNUSED.items()],
            state_operations=[
                migrations.AlterField(
                    model_name="message",
                    name="credential",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="clients.credential",
                    ),
                ),
                migrations.AlterField(
                    model_name="message",
                    name="campaign",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="messages",
                        to="messaging.campaign",
                    ),
                ),
            ],
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
