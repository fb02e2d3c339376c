"""Counts by minute, their totals, marks of what was counted, and runs of tasks. New tables, nothing else."""

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name='Mark',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('origin', models.CharField(default='', max_length=60)),
                ('position', models.BigIntegerField(default=0)),
                ('until', models.DateTimeField(null=True)),
                ('missing', models.JSONField(default=list)),
            ],
            options={'default_permissions': ()},
        ),
        migrations.CreateModel(
            name='TaskRun',
            fields=[
                ('name', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
            ],
            options={'default_permissions': ()},
        ),
        migrations.CreateModel(
            name='MetricMinute',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField()),
                ('metric', models.CharField(max_length=60)),
                ('labels', models.JSONField()),
                ('count', models.BigIntegerField()),
                ('sum', models.FloatField()),
                ('is_hour', models.BooleanField(db_default=False, default=False)),
            ],
            options={
                'default_permissions': (),
                'indexes': [
                    models.Index(models.F('at'), name='minutes_by_time'),
                    models.Index(models.F('at'), condition=models.Q(('is_hour', False)), name='minutes_to_fold'),
                ],
            },
        ),
        migrations.CreateModel(
            name='MetricTotal',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('metric', models.CharField(max_length=60)),
                ('labels', models.JSONField()),
                ('count', models.BigIntegerField()),
                ('sum', models.FloatField()),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('metric', 'labels'), name='one_total_per_metric_and_labels')],
            },
        ),
    ]
