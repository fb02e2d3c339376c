"""Service levels by day. A new table, nothing else."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('metrics', '0001_initial')]

    operations = [
        migrations.CreateModel(
            name='ServiceDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('codes', models.PositiveIntegerField()),
                ('within_2s', models.PositiveIntegerField()),
                ('within_10s', models.PositiveIntegerField()),
                ('calls', models.PositiveIntegerField()),
                ('faults', models.PositiveIntegerField()),
                ('mails', models.PositiveIntegerField()),
                ('bounces', models.PositiveIntegerField()),
                ('complaints', models.PositiveIntegerField()),
            ],
            options={'default_permissions': ()},
        ),
    ]
