"""Rights on webhooks: administrators make them and see their secrets, operations changes them, auditors read."""

from django.db import migrations

READ = {"endpoint": ("view_endpoint",), "delivery": ("view_delivery",)}
CHANGE = {"endpoint": ("change_endpoint",)}
MAKE = {"endpoint": ("add_endpoint", "delete_endpoint")}
ROLES = {"Administradores": (READ, CHANGE, MAKE), "Operaciones": (READ, CHANGE), "Auditores": (READ,)}


def allow(apps, schema_editor):
    """Permissions are made after all migrations, by a signal; these are needed now, and the signal finds them."""
    group_of, permission_of, type_of = (
        apps.get_model(app, model)
        for app, model in (("auth", "Group"), ("auth", "Permission"), ("contenttypes", "ContentType"))
    )
    for role, parts in ROLES.items():
        for group in group_of.objects.filter(name=role):
            for part in parts:
                for model, codenames in part.items():
                    kind, _ = type_of.objects.get_or_create(app_label="webhooks", model=model)
                    for codename in codenames:
                        permission, _ = permission_of.objects.get_or_create(
                            content_type=kind, codename=codename, defaults={"name": codename.replace("_", " ")}
                        )
                        group.permissions.add(permission)


def take_back(apps, schema_editor):
    apps.get_model("auth", "Permission").objects.filter(content_type__app_label="webhooks").delete()


class Migration(migrations.Migration):
    dependencies = [("support", "0008_usage"), ("webhooks", "0001_initial")]

    operations = [migrations.RunPython(allow, take_back)]
