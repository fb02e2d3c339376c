"""Keys of authenticator apps are sealed: before, whoever read the database could make everybody's codes."""

from django.db import migrations

from clients.authenticators import sealed
from clients.sealing import is_sealed


def seal_keys(apps, schema_editor):
    for device in apps.get_model("otp_totp", "TOTPDevice").objects.select_for_update().all():
        if not is_sealed(device.key):
            device.key = sealed(device.key, user_id=device.user_id)
            device.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [("clients", "0008_login_delays"), ("otp_totp", "0003_add_timestamps")]

    operations = [
        migrations.CreateModel(
            name="Authenticator",
            fields=[],
            options={
                "verbose_name": "aplicación de códigos",
                "verbose_name_plural": "aplicaciones de códigos",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(seal_keys, migrations.RunPython.noop),
    ]
