"""The request id of the logs on a message: a column that is null in the rows there are. No row is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0018_campaign_restored_at")]

    operations = [migrations.AddField(model_name="message", name="trace_id", field=models.UUIDField(null=True))]
