"""Who may forgive one destination a fourth time in a day: those who answer for the money."""

from django.db import migrations

ROLES = ("Administradores", "Operaciones")
CODENAME, NAME = "forgive_often", "Perdonar la espera de un destino más de tres veces al día"


def allow(apps, schema_editor):
    """Permissions are made after all migrations, by a signal; this one is needed now, and the signal finds it."""
    group_of, permission_of, type_of = (
        apps.get_model(app, model)
        for app, model in (("auth", "Group"), ("auth", "Permission"), ("contenttypes", "ContentType"))
    )
    kind, _ = type_of.objects.get_or_create(app_label="tokens", model="ladderforgiveness")
    permission, _ = permission_of.objects.get_or_create(
        content_type=kind, codename=CODENAME, defaults={"name": NAME}
    )
    for group in group_of.objects.filter(name__in=ROLES):
        group.permissions.add(permission)


def take_back(apps, schema_editor):
    apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="tokens", codename=CODENAME
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("support", "0005_privacy_permissions"), ("tokens", "0008_forgive_often")]

    operations = [migrations.RunPython(allow, take_back)]
