"""The suppression list, what comes back for mails, and why a campaign paused itself. Two new tables and two columns with
a default of the database: no row is rewritten, and processes of the version before write as they did."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0010_applicant_partner_index'),
        ('messaging', '0014_uuid7'),
    ]

    operations = [
        migrations.AlterField(
            model_name='campaign',
            name='profiles',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), blank=True, default=list, help_text='Ninguno: todos.', size=None, verbose_name='perfiles'),
        ),
        migrations.AddField(
            model_name='campaign',
            name='pause_reason',
            field=models.CharField(blank=True, db_default='', max_length=300),
        ),
        migrations.AddField(
            model_name='providerreceipt',
            name='bounce',
            field=models.CharField(blank=True, db_default='', max_length=12),
        ),
        migrations.CreateModel(
            name='RecipientFeedback',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mailbox', models.CharField(blank=True, max_length=254, verbose_name='correo')),
                ('kind', models.CharField(choices=[('HARD_BOUNCE', 'Rebote'), ('FAILURE', 'Rechazo definitivo'), ('COMPLAINT', 'Queja'), ('UNSUBSCRIBED', 'Baja')], max_length=12, verbose_name='qué')),
                ('detail', models.CharField(blank=True, max_length=300, verbose_name='detalle')),
                ('at', models.DateTimeField(verbose_name='fecha')),
                ('campaign', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.campaign')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.message', verbose_name='mensaje')),
            ],
            options={
                'verbose_name': 'respuesta a un correo',
                'verbose_name_plural': 'respuestas a correos',
                'indexes': [models.Index(models.F('campaign'), models.F('kind'), condition=models.Q(('campaign__isnull', False)), name='feedback_of_a_campaign'), models.Index(models.F('mailbox'), models.F('at'), condition=models.Q(('mailbox', ''), _negated=True), name='feedback_of_a_mailbox'), models.Index(models.F('at'), condition=models.Q(('mailbox', ''), _negated=True), name='feedback_with_mailbox')],
                'constraints': [models.UniqueConstraint(fields=('message', 'kind'), name='one_feedback_per_message_and_kind')],
            },
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mailbox', models.CharField(blank=True, max_length=254, verbose_name='correo')),
                ('mailbox_key', models.CharField(blank=True, editable=False, max_length=64)),
                ('reason', models.CharField(choices=[('HARD_BOUNCE', 'Rebote'), ('COMPLAINT', 'Queja'), ('MANUAL', 'Por el personal')], max_length=11, verbose_name='motivo')),
                ('evidence', models.CharField(blank=True, max_length=500, verbose_name='prueba')),
                ('created_at', models.DateTimeField(verbose_name='desde')),
                ('last_at', models.DateTimeField(verbose_name='última vez')),
                ('created_by', models.CharField(blank=True, max_length=150, verbose_name='por')),
                ('lifted_at', models.DateTimeField(blank=True, null=True, verbose_name='levantada el')),
                ('lifted_by', models.CharField(blank=True, max_length=150, verbose_name='levantada por')),
                ('lifted_because', models.CharField(blank=True, max_length=500, verbose_name='por qué se levantó')),
                ('message', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='messaging.message', verbose_name='mensaje')),
                ('partner', models.ForeignKey(blank=True, db_index=False, help_text='Ninguna: todas.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clients.partner', verbose_name='empresa')),
            ],
            options={
                'verbose_name': 'buzón sin envío',
                'verbose_name_plural': 'buzones sin envío',
                'indexes': [models.Index(models.F('mailbox'), models.F('created_at'), name='suppressions_of_a_mailbox'), models.Index(models.F('mailbox_key'), condition=models.Q(('mailbox_key', ''), _negated=True), name='suppressions_of_the_erased'), models.Index(models.F('created_at'), models.F('id'), name='suppressions_by_time'), models.Index(models.F('lifted_at'), condition=models.Q(('lifted_at__isnull', False)), name='suppressions_lifted')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('lifted_at__isnull', True), models.Q(('mailbox', ''), _negated=True)), fields=('mailbox', 'reason', 'partner'), name='one_suppression_per_mailbox_reason_and_partner', nulls_distinct=False), models.CheckConstraint(condition=models.Q(models.Q(('mailbox', ''), _negated=True), models.Q(('mailbox_key', ''), _negated=True), _connector='OR'), name='a_suppression_has_a_mailbox_or_its_key')],
            },
        ),
    ]
