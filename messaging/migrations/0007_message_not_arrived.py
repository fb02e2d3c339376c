from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0005_providers_and_fallback")]

    operations = [
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                models.F("created_at"), condition=models.Q(("state", "UNDELIVERED")), name="message_not_arrived"
            ),
        ),
    ]
