from django.db import migrations, models


class Migration(migrations.Migration):
    """A column without a default: PostgreSQL writes no row anew for it."""

    dependencies = [("messaging", "0017_twin_indexes")]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="restored_at",
            field=models.DateTimeField(editable=False, null=True),
        )
    ]
