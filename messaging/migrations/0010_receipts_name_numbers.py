"""A receipt keeps whom it names until its message is known. Adding a column with a constant default rewrites nothing."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0009_rate_counts")]

    operations = [
        migrations.AddField(
            model_name="providerreceipt",
            name="recipients",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=32), db_default=[], default=list, size=None
            ),
        ),
    ]
