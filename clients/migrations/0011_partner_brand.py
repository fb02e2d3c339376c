"""The brand of a partner. The column has a constant default, so no row is written; processes of before do not see it."""

import clients.brand
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('clients', '0010_applicant_partner_index'),
    ]

    operations = [
        migrations.AddField(
            model_name='partner',
            name='brand',
            field=models.CharField(blank=True, db_default='', default='', help_text='Hasta 20 caracteres. Lo leen sus clientes en los códigos, y como remitente de sus correos. Vacío: el de la instalación (BRAND). En un SMS, las letras que este no tiene se cambian por otras.', max_length=20, validators=[clients.brand.validate_brand], verbose_name='nombre en los mensajes'),
        ),
    ]
