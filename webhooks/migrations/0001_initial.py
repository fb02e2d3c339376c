"""Endpoints of partners and deliveries to them. Two new tables, nothing else."""

import clients.events.models
import clients.uuid7
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clients', '0013_expiry_notices'),
    ]

    operations = [
        migrations.CreateModel(
            name='Endpoint',
            fields=[
                ('id', models.UUIDField(default=clients.uuid7.uuid7, editable=False, primary_key=True, serialize=False)),
                ('url', models.CharField(help_text='https://…, un servidor de internet.', max_length=500, verbose_name='URL')),
                ('description', models.CharField(blank=True, max_length=200, verbose_name='descripción')),
                ('email', models.EmailField(blank=True, help_text='Recibe un aviso si el webhook se pausa.', max_length=254, verbose_name='correo para avisos')),
                ('types', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('verification.requested', 'Código pedido'), ('verification.sent', 'Código enviado'), ('verification.delivered', 'Código entregado'), ('verification.undelivered', 'Código no entregado'), ('verification.verified', 'Código verificado'), ('verification.failed', 'Código fallido'), ('verification.expired', 'Código vencido'), ('verification.cancelled', 'Código cancelado'), ('verification.locked', 'Cliente bloqueado'), ('authorization.created', 'Alta'), ('authorization.removed', 'Baja'), ('authorization.subscribed', 'Suscripción'), ('authorization.unsubscribed', 'Desuscripción'), ('authorization.suppressed', 'Buzón sin envío'), ('message.sent', 'Mensaje enviado'), ('message.delivered', 'Mensaje entregado'), ('message.undelivered', 'Mensaje no entregado'), ('registry.client.created', 'Cliente registrado'), ('registry.client.updated', 'Cliente actualizado'), ('key.expiring', 'Credencial por vencer'), ('endpoint.paused', 'Webhook en pausa')], max_length=40), blank=True, help_text='Vacío: todos.', null=True, size=None, verbose_name='tipos de evento')),
                ('status', models.CharField(choices=[('ACTIVE', 'Activo'), ('PAUSED', 'En pausa'), ('ENDED', 'Terminado por el receptor')], default='ACTIVE', max_length=10, verbose_name='estado')),
                ('secret', models.CharField(editable=False, max_length=200)),
                ('former_secret', models.CharField(blank=True, editable=False, max_length=200)),
                ('former_secret_until', models.DateTimeField(editable=False, null=True, verbose_name='el secreto anterior firma hasta')),
                ('epoch', models.CharField(editable=False, max_length=16)),
                ('cursor_xid', clients.events.models.TransactionIdField(editable=False)),
                ('cursor_event_id', models.BigIntegerField(editable=False)),
                ('created_at', models.DateTimeField(editable=False, verbose_name='creado')),
                ('last_success_at', models.DateTimeField(editable=False, null=True, verbose_name='último éxito')),
                ('failing_since', models.DateTimeField(editable=False, null=True, verbose_name='falla desde')),
                ('stopped_at', models.DateTimeField(editable=False, null=True, verbose_name='detenido')),
                ('resumed_from', models.DateTimeField(editable=False, null=True, verbose_name='retomado desde')),
                ('mail_due', models.BooleanField(default=False, editable=False)),
                ('partner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='clients.partner', verbose_name='empresa')),
            ],
            options={
                'verbose_name': 'webhook',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.UUIDField(default=clients.uuid7.uuid7, editable=False, primary_key=True, serialize=False)),
                ('event_id', models.BigIntegerField(null=True, verbose_name='evento')),
                ('type', models.CharField(max_length=40, verbose_name='tipo')),
                ('status', models.CharField(choices=[('PENDING', 'Pendiente'), ('DELIVERED', 'Entregado'), ('FAILED', 'Fallido')], default='PENDING', max_length=10, verbose_name='estado')),
                ('tries', models.PositiveSmallIntegerField(default=0, verbose_name='intentos')),
                ('next_try_at', models.DateTimeField(verbose_name='siguiente intento')),
                ('claimed_until', models.DateTimeField(editable=False, null=True)),
                ('last_try_at', models.DateTimeField(null=True, verbose_name='último intento')),
                ('last_status', models.PositiveSmallIntegerField(null=True, verbose_name='última respuesta')),
                ('last_error', models.CharField(blank=True, max_length=200, verbose_name='último error')),
                ('created_at', models.DateTimeField(verbose_name='creada')),
                ('finished_at', models.DateTimeField(null=True, verbose_name='terminada')),
                ('endpoint', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='webhooks.endpoint', verbose_name='webhook')),
            ],
            options={
                'verbose_name': 'entrega',
                'ordering': ['-id'],
            },
        ),
        migrations.AddIndex(
            model_name='endpoint',
            index=models.Index(models.F('partner'), models.F('id'), name='endpoints_of_a_partner'),
        ),
        migrations.AddIndex(
            model_name='endpoint',
            index=models.Index(models.F('stopped_at'), condition=models.Q(('mail_due', True)), name='endpoints_with_a_mail_due'),
        ),
        migrations.AddConstraint(
            model_name='endpoint',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'ACTIVE'), ('stopped_at__isnull', True)), models.Q(models.Q(('status', 'ACTIVE'), _negated=True), ('stopped_at__isnull', False)), _connector='OR'), name='an_endpoint_that_is_not_active_has_stopped'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('endpoint'), models.F('next_try_at'), condition=models.Q(('status', 'PENDING')), name='open_deliveries_of_an_endpoint'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('endpoint'), models.F('id'), name='deliveries_of_an_endpoint'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('created_at'), name='deliveries_by_time'),
        ),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(models.F('id'), condition=models.Q(('status', 'FAILED')), name='failed_deliveries'),
        ),
        migrations.AddConstraint(
            model_name='delivery',
            constraint=models.UniqueConstraint(fields=('endpoint', 'event_id'), name='an_event_is_delivered_to_an_endpoint_once'),
        ),
    ]
