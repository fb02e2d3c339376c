"""The index of codes by time leaves out their ids: no two codes are asked for in the same microsecond, or a handful.

No row is written. CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken
off, it can be run again. Processes of the version before plan with either.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

NAME = "tokens_by_request_time"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tokens", "0012_ladders_of_twins")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}", migrations.RunSQL.noop),
        AddIndexConcurrently("verificationtoken", models.Index("created_at", name=NAME)),
        RemoveIndexConcurrently("verificationtoken", "tokens_by_time"),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
