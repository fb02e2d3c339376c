from django.db import migrations, models


class Migration(migrations.Migration):
    """A column with a constant default: PostgreSQL writes no row anew for it."""

    dependencies = [("clients", "0019_events_by_time_brin")]

    operations = [
        migrations.AddField(
            model_name="credential",
            name="kid",
            field=models.CharField(blank=True, db_default="", editable=False, max_length=16),
        )
    ]
