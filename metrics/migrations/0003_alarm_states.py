"""States of alarms. A new table, nothing else."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('metrics', '0002_service_days')]

    operations = [
        migrations.CreateModel(
            name='AlarmState',
            fields=[
                ('name', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('true_since', models.DateTimeField(null=True)),
                ('is_firing', models.BooleanField(default=False)),
                ('since', models.DateTimeField(null=True)),
                ('told', models.CharField(blank=True, max_length=10)),
                ('told_at', models.DateTimeField(null=True)),
                ('try_after', models.DateTimeField(null=True)),
            ],
            options={'default_permissions': ()},
        ),
    ]
