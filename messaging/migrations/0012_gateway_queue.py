"""Names the field `gateway_queue`; its column stays `lane`, so that no statement runs."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0011_autovacuum")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameField("message", "lane", "gateway_queue"),
                migrations.AlterField(
                    "message",
                    "gateway_queue",
                    models.CharField(blank=True, db_column="lane", db_default="", max_length=100),
                ),
            ]
        )
    ]
