"""Rights on the suppression list: those who send campaigns change it, auditors read it."""

from django.db import migrations

READ, CHANGE = ("view_suppression",), ("add_suppression", "change_suppression")
ROLES = {"Administradores": READ + CHANGE, "Operaciones": READ + CHANGE, "Auditores": READ}


def allow(apps, schema_editor):
    """Permissions are made after all migrations, by a signal; these are needed now, and the signal finds them."""
    group_of, permission_of, type_of = (
        apps.get_model(app, model)
        for app, model in (("auth", "Group"), ("auth", "Permission"), ("contenttypes", "ContentType"))
    )
    kind, _ = type_of.objects.get_or_create(app_label="messaging", model="suppression")
    for role, codenames in ROLES.items():
        for group in group_of.objects.filter(name=role):
            for codename in codenames:
                permission, _ = permission_of.objects.get_or_create(
                    content_type=kind, codename=codename, defaults={"name": codename.replace("_", " ")}
                )
                group.permissions.add(permission)


def take_back(apps, schema_editor):
    apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="messaging", codename__in=READ + CHANGE
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("support", "0006_forgive_often"), ("messaging", "0015_suppression")]

    operations = [migrations.RunPython(allow, take_back)]
