"""The four roles of the staff. A migration makes them once; what administrators change in them afterwards stays."""

from django.db import migrations

READ = {
    "clients": ("partner", "applicant", "authorizedclient", "externalclient"),
    "messaging": ("message", "messageevent", "campaign", "providerstate"),
    "tokens": ("verificationtoken", "ladderforgiveness"),
    "external_api": ("apirequest",),
    "subscription": ("consentrecord", "subscriptionrequest"),
}
"""What operations and auditors see."""

DESK = {"support": {"desk": ("use_desk", "act_at_desk", "unmask_at_desk")}}
OPERATE = {
    "clients": {
        "partner": ("add_partner", "change_partner"),
        "applicant": ("change_applicant",),
        "authorizedclient": ("add_authorizedclient", "change_authorizedclient"),
    },
    "messaging": {
        "campaign": ("add_campaign", "change_campaign", "delete_campaign"),
        "providerstate": ("change_providerstate",),
    },
    "tokens": {"ladderforgiveness": ("add_ladderforgiveness",)},
}
KEYS_AND_USERS = {
    "clients": {"credential": ("add_credential", "change_credential", "view_credential")},
    "auth": {
        "user": ("add_user", "change_user", "delete_user", "view_user"),
        "group": ("add_group", "change_group", "delete_group", "view_group"),
    },
}
AUDIT = {"clients": {"auditentry": ("view_auditentry",)}}


def views():
    return {label: {model: (f"view_{model}",) for model in models} for label, models in READ.items()}


ROLES = {
    "Administradores": (views(), OPERATE, KEYS_AND_USERS, AUDIT, DESK),
    "Operaciones": (views(), OPERATE, DESK),
    "Soporte": (DESK,),
    "Auditores": (views(), AUDIT, {"support": {"desk": ("use_desk",)}}),
}


def make_roles(apps, schema_editor):
    """Permissions are made after all migrations, by a signal; these are needed now, and the signal finds them."""
    group_of, permission_of, type_of = (
        apps.get_model(app, model)
        for app, model in (("auth", "Group"), ("auth", "Permission"), ("contenttypes", "ContentType"))
    )
    for role, parts in ROLES.items():
        group, _ = group_of.objects.get_or_create(name=role)
        for part in parts:
            for label, models in part.items():
                for model, codenames in models.items():
                    kind, _ = type_of.objects.get_or_create(app_label=label, model=model)
                    for codename in codenames:
                        permission, _ = permission_of.objects.get_or_create(
                            content_type=kind, codename=codename, defaults={"name": codename.replace("_", " ")}
                        )
                        group.permissions.add(permission)


def drop_roles(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("support", "0001_permissions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("clients", "0005_external_client"),
        ("messaging", "0005_providers_and_fallback"),
        ("tokens", "0003_code_tries"),
        ("external_api", "0002_request_subject"),
        ("subscription", "0002_consent_is_append_only"),
    ]

    operations = [migrations.RunPython(make_roles, drop_roles)]
