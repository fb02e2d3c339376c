"""The outbox of a test twin: two columns of the sandbox's, null in the rows there are. No row is rewritten."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0015_suppression"), ("clients", "0016_test_twins")]

    operations = [
        migrations.AddField(
            model_name="sandboxmessage",
            name="twin",
            field=models.ForeignKey(
                db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+",
                to="clients.partner",
            ),
        ),
        migrations.AddField(model_name="sandboxmessage", name="receipt_at", field=models.DateTimeField(null=True)),
    ]  # fmt: skip
