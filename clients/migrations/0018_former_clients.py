"""An index of the deauthorised clients of a partner, by which a test twin is counted and emptied. No row is written.

CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken off, it can be run
again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

NAME = "former_clients_of_a_partner"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0017_event_test")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="authorizedclient",
            index=models.Index(
                models.F("partner"), name=NAME,
                condition=models.Q(("deauthorized_at__isnull", False), ("forgotten_at__isnull", True)),
            ),
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]  # fmt: skip
