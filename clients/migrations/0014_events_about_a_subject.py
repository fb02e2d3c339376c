"""The index by which the events about a person are found, for their copy and their erasure.

It is made while everybody works. CONCURRENTLY waits for the transactions that are running, an export's ten minutes too,
so `lock_timeout` is longer here. Broken off, it can be run again: what is left of the first try goes first.
"""

from django.db import migrations, models

INDEX = "events_about_a_subject"
DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}"
CREATE = f"CREATE INDEX CONCURRENTLY {INDEX} ON clients_partnerevent (subject)"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0013_expiry_notices")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL([DROP, CREATE], [DROP])],
            state_operations=[migrations.AddIndex("partnerevent", models.Index("subject", name=INDEX))],
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
