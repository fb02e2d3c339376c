"""Smaller indexes of requests. That of a company's becomes ascending, as ids are: a descending one got each new entry
at the left end of its company's, where PostgreSQL splits pages in half; lists read the ascending one backwards. That of
a client's leaves out the ids: a client has a handful of requests, which then share an entry. That by id leaves no
room in its pages, for requests only come and go, in order; pages that there are stay as they are.

No row is written. CONCURRENTLY waits for the transactions that are running, so `lock_timeout` is longer here. Broken
off, it can be run again. Processes of the version before plan with either.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

MADE = [
    models.Index("partner", "id", name="requests_by_partner"),
    models.Index("subject", name="requests_by_client", condition=models.Q(("subject__isnull", False))),
]
GONE = ["requests_of_a_partner", "requests_about_a_client"]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("external_api", "0003_api_for_partners")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        *[
            operation
            for index in MADE
            for operation in (
                # what a migration that was broken off has left
                migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", migrations.RunSQL.noop),
                AddIndexConcurrently("apirequest", index),
            )
        ],
        *[RemoveIndexConcurrently("apirequest", name) for name in GONE],
        migrations.RunSQL(
            "ALTER INDEX external_api_apirequest_pkey SET (fillfactor = 100)",
            "ALTER INDEX external_api_apirequest_pkey RESET (fillfactor)",
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
