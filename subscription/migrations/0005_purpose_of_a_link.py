"""What a link is for. The column has a default of the database: no row is rewritten, and processes of the version before
write links to confirm as they did."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('subscription', '0004_forgetting'),
    ]

    operations = [
        migrations.AddField(
            model_name='subscriptionrequest',
            name='purpose',
            field=models.CharField(choices=[('confirm', 'Confirmar'), ('manage', 'Ver y dejar')], db_default='confirm', default='confirm', max_length=7, verbose_name='para'),
        ),
    ]
