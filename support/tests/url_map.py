"""URL map with real rows: each route with its values filled in, and the fields of its forms."""

import re

from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from clients.models import Applicant, AuthorizedClient, Credential, ExternalClient
from staff.middleware import GUARDED_PATHS

CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
ACTION_NAMES = ("perdonar", "desbloquear", "cancelar", "reenviar", "baja")
FORM = {
    "motivo": "porque sí",
    "reason": "porque sí",
    "confirmacion": "BORRAR",
    "post": "yes",
    "confirmed": "yes",
    "via": "S",
    "codigo": "123456",
    "username": "intruso",
    "password1": "una clave larga",
    "password2": "una clave larga",
    "is_superuser": "on",
    "is_active": "on",
    "is_staff": "on",
    "name": "intruso",
    "slug": "intruso",
    "contracts": "nopasanada",
    "kind": "jwt",
    "autorizado": "1",
}


def routes(patterns=None, before="/"):
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route


def names_of(route):
    return {match[1] or match[2] for match in CONVERTER.finditer(route)}


def filled(route, values):
    text = CONVERTER.sub(lambda match: str(values[match[1] or match[2]]), route)
    text = re.sub(r"\(\?:[^()]*\)\??", "", text)
    return text.replace("/?", "/").replace("^", "").replace("\\Z", "").replace("$", "").replace("\\", "")


def rows_for(route):
    """Values for the names in a route, from existing rows."""
    key = Credential.objects.order_by("pk").first()
    about = re.match(r"/admin/(\w+)/(\w+)/", route)
    label = ".".join(about.groups()) if about else ""
    model = next((each for each in apps.get_models() if each._meta.label_lower == label), None)
    mine = model._default_manager.values_list("pk", flat=True).first() if model else 1
    return {
        "object_id": key.partner_id if "key" in names_of(route) else mine,
        "app_label": "clients",
        "form": "csv",
        "url": "x",
        "content_type_id": 1,
        "pk": User.objects.order_by("pk").first().pk,
        "client": "1",
        "key": key.pk if "object_id" in names_of(route) else mine,  # a partner's key, or the row itself
        "id": mine,
    }


def of_people(route):
    """URLs of a case of each kind, or of each of its actions."""
    kinds = {"cliente": Applicant, "autorizado": AuthorizedClient, "externo": ExternalClient}
    for kind, model in kinds.items():
        for what in ACTION_NAMES if "what" in names_of(route) else ("",):
            yield filled(route, {"kind": kind, "key": model.objects.first().pk, "what": what})


def real():
    """URLs of the staff's pages, with existing rows."""
    for route in routes():
        if route.startswith(GUARDED_PATHS):
            if "kind" in names_of(route):
                yield from of_people(route)
            else:
                yield filled(route, rows_for(route))


def state():
    """Number of rows of each table, and the rows that actions change; without sessions and failed logins."""
    with connection.cursor() as cursor:
        tables = [
            each
            for each in connection.introspection.table_names(cursor)
            if not each.startswith(("django_session", "axes_"))
        ]
        cursor.execute(" UNION ALL ".join(f"SELECT '{each}', count(*)::text FROM \"{each}\"" for each in tables))
        counts = cursor.fetchall()
        shown = (
            "clients_partner",
            "clients_credential",
            "clients_applicant",
            "clients_authorizedclient",
            "auth_group",
            "clients_externalclient",
            "messaging_campaign",
            "messaging_message",
            "messaging_providerstate",
            "tokens_verificationtoken",
            "auth_user",
        )
        cursor.execute(" UNION ALL ".join(f'SELECT \'{each}\', "{each}"::text FROM "{each}"' for each in shown))
        return sorted(counts), sorted(cursor.fetchall())


def body_of(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


API = "/v1/api^/admin/"
NOT_OF_THE_STAFF = (
    r"/api/v1\^",
    r"/v1/api\^/(client|auth/login|status)",
    r"/v1/api\^\(\?:/\.\*\)",
    r"/external\^",
    r"/partners/v1\^",
    r"/(admin|soporte|cuenta|favicon\.ico|robots\.txt|)$",
    "/ingreso/",
    "/referencia",
    "/recibos/",
    "/suscripcion",
    "/sandbox/",
)
"""URLs of contracts, receipts and public pages, where a session or a role changes nothing."""


def addresses():
    """(route, URL) of all that is for staff."""
    for route in dict.fromkeys(routes()):
        if any(re.match(each, route) for each in NOT_OF_THE_STAFF):
            continue
        if "kind" in names_of(route):
            yield from ((route, path) for path in of_people(route))
        elif route.startswith(API):
            yield route, filled(route, {"client": Applicant.objects.get().pk})
        else:
            yield route, filled(route, rows_for(route))
