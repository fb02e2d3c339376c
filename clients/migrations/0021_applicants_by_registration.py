"""The index of applicants by time leaves out their ids: no two register in the same microsecond, or a handful. The
index of events by id leaves no room in its pages, for events only come and go, in order; pages that there are stay as
they are.

No row is written. CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken
off, it can be run again. Processes of the version before plan with either.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

NAME = "applicants_by_registration"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0020_credential_kid")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}", migrations.RunSQL.noop),
        AddIndexConcurrently("applicant", models.Index("created_at", name=NAME)),
        RemoveIndexConcurrently("applicant", "applicant_by_time"),
        migrations.RunSQL(
            "ALTER INDEX clients_partnerevent_pkey SET (fillfactor = 100)",
            "ALTER INDEX clients_partnerevent_pkey RESET (fillfactor)",
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
