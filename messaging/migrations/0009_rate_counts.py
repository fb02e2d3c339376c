"""Counters of the limits for the time that Redis is away. Not logged: they count as fast as memory, and a crash of
PostgreSQL while Redis is away may forget them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0008_forgetting")]

    operations = [
        migrations.CreateModel(
            name="RateCount",
            fields=[
                ("key", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("known", models.IntegerField(default=0)),
                ("added", models.IntegerField(default=0)),
                ("ends_at", models.DateTimeField()),
            ],
            options={"indexes": [models.Index(models.F("ends_at"), name="rate_counts_that_are_over")]},
        ),
        migrations.RunSQL("ALTER TABLE messaging_ratecount SET UNLOGGED", migrations.RunSQL.noop),
    ]
