"""New messages get UUIDv7. The default is Python's: no statement runs, and older ids stay."""

from django.db import migrations, models

import clients.uuid7


class Migration(migrations.Migration):
    dependencies = [("messaging", "0013_fewer_indexes")]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="id",
            field=models.UUIDField(default=clients.uuid7.uuid7, editable=False, primary_key=True, serialize=False),
        ),
    ]
