"""The test twin of a code and of a forgiveness: a column each, null in the rows there are. No row is rewritten."""

import django.db.models.deletion
from django.db import migrations, models


def _twin():
    return models.ForeignKey(
        db_index=False, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+",
        to="clients.partner",
    )  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("tokens", "0010_uuid7"), ("clients", "0016_test_twins")]

    operations = [
        migrations.AddField(model_name="verificationtoken", name="twin", field=_twin()),
        migrations.AddField(model_name="ladderforgiveness", name="twin", field=_twin()),
    ]
