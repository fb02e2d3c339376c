"""The API for partners is a further choice of two columns. Changes nothing in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('external_api', '0002_request_subject'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apirequest',
            name='contract',
            field=models.CharField(choices=[('nopasanada', 'NoPasaNadaPE v1'), ('informaperu', 'InformaPerú'), ('registry', 'Registro externo'), ('partners', 'API para empresas')], max_length=20, verbose_name='contrato'),
        ),
        migrations.AlterField(
            model_name='idempotentanswer',
            name='contract',
            field=models.CharField(choices=[('nopasanada', 'NoPasaNadaPE v1'), ('informaperu', 'InformaPerú'), ('registry', 'Registro externo'), ('partners', 'API para empresas')], max_length=20),
        ),
    ]
