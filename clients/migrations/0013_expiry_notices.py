"""Days of the last notice of a key that is about to expire. An empty column: no row is written."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0012_partner_events'),
    ]

    operations = [
        migrations.AddField(
            model_name='credential',
            name='notice_days',
            field=models.PositiveSmallIntegerField(editable=False, null=True),
        ),
    ]
