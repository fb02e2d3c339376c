"""The index of an applicant's company alone: that of `one_applicant_per_partner_and_document` begins with the company
and serves whatever it served.

No row is written, and nobody waits: processes of the version before plan with what is there. CONCURRENTLY waits for the
transactions that are running, an export's ten minutes too, so `lock_timeout` is longer here. Broken off, it can be run
again.
"""

import django.db.models.deletion
from django.db import migrations, models

INDEX = "clients_applicant_partner_id_9ad1d195"
"""Django's name of the index of the foreign key."""
DROP = f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("clients", "0009_sealed_authenticators")]

    operations = [
        migrations.RunSQL("SET lock_timeout = '15min'", "RESET lock_timeout"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [DROP], [DROP, f"CREATE INDEX CONCURRENTLY {INDEX} ON clients_applicant (partner_id)"]
                )
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="applicant",
                    name="partner",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="applicants",
                        to="clients.partner",
                        verbose_name="empresa",
                    ),
                )
            ],
        ),
        migrations.RunSQL("RESET lock_timeout", "SET lock_timeout = '15min'"),
    ]
