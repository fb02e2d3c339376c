"""The table is django-otp's, the rule is ours: one app counts for each person, whatever two windows do at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("support", "0002_roles"), ("otp_totp", "0003_add_timestamps")]

    operations = [
        migrations.RunSQL(
            "CREATE UNIQUE INDEX one_second_factor_per_user ON otp_totp_totpdevice (user_id) WHERE confirmed",
            "DROP INDEX one_second_factor_per_user",
        )
    ]
