"""The permission to forgive one destination more than three times a day; support 0006 gives it to its roles."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tokens", "0007_ladder_by_mailbox")]

    operations = [
        migrations.AlterModelOptions(
            name="ladderforgiveness",
            options={
                "permissions": [("forgive_often", "Perdonar la espera de un destino más de tres veces al día")],
                "verbose_name": "perdón de espera",
                "verbose_name_plural": "perdones de espera",
            },
        ),
    ]
