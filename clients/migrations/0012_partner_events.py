"""Partner events, the epoch of their places, and what retention removed of them. Three new tables, nothing else."""

import clients.events.models
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0011_partner_brand'),
    ]

    operations = [
        migrations.CreateModel(
            name='PrunedEvents',
            fields=[
                ('partner', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='clients.partner')),
                ('xid', clients.events.models.TransactionIdField()),
                ('event_id', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='EventEpoch',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('epoch', models.CharField(default=clients.events.models.new_epoch, max_length=16)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='there_is_one_epoch')],
            },
        ),
        migrations.CreateModel(
            name='PartnerEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('xid', clients.events.models.TransactionIdField(db_default=clients.events.models.CurrentTransactionId(), editable=False)),
                ('type', models.CharField(choices=[('verification.requested', 'Código pedido'), ('verification.sent', 'Código enviado'), ('verification.delivered', 'Código entregado'), ('verification.undelivered', 'Código no entregado'), ('verification.verified', 'Código verificado'), ('verification.failed', 'Código fallido'), ('verification.expired', 'Código vencido'), ('verification.cancelled', 'Código cancelado'), ('verification.locked', 'Cliente bloqueado'), ('authorization.created', 'Alta'), ('authorization.removed', 'Baja'), ('authorization.subscribed', 'Suscripción'), ('authorization.unsubscribed', 'Desuscripción'), ('authorization.suppressed', 'Buzón sin envío'), ('message.sent', 'Mensaje enviado'), ('message.delivered', 'Mensaje entregado'), ('message.undelivered', 'Mensaje no entregado'), ('registry.client.created', 'Cliente registrado'), ('registry.client.updated', 'Cliente actualizado'), ('key.expiring', 'Credencial por vencer'), ('endpoint.paused', 'Webhook en pausa')], max_length=40)),
                ('subject', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('data', models.JSONField(default=dict)),
                ('test', models.BooleanField(db_default=False, default=False)),
                ('partner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clients.partner')),
            ],
            options={
                'verbose_name': 'evento',
                'verbose_name_plural': 'eventos',
                'indexes': [models.Index(models.F('partner'), models.F('xid'), models.F('id'), name='feed_of_a_partner'), models.Index(models.F('at'), name='events_by_time')],
            },
        ),
    ]
