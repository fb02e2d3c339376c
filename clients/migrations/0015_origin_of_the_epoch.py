"""Which server the epoch of the feed was begun on: an empty column of a table with one row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0014_events_about_a_subject")]

    operations = [
        migrations.AddField("eventepoch", "origin", models.CharField(default="", db_default="", max_length=40)),
    ]
