"""Every role at every URL of the pages and the staff API: which methods it may use, and who sees whole destinations.

Generated from the URL map: a URL that is not declared here fails.
"""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from clients.models import Applicant, AuthorizedClient, ExternalClient
from external_api.informaperu.staff_tokens import issue_for
from messaging.models import Message
from support.tests.cast import everything
from support.tests.url_map import API, NOT_OF_THE_STAFF, addresses, body_of, filled, names_of, routes, state

pytestmark = pytest.mark.django_db

ROLES = {"S": "Soporte", "A": "Auditores", "O": "Operaciones", "D": "Administradores"}
ALL_ROLES = ("-", "N", *ROLES, "B")
"""Anonymous, an account without a role, the four roles, and a superuser."""
STAFF, DESK, READ, ACT, KEYS = "NSAODB", "SAODB", "AODB", "ODB", "DB"
SAFE = ("get", "head")
OTHERS = ("put", "patch", "delete", "options")

OBJECT = r"<path:object_id>"
MODELS = {  # list and rows are read by, added by, deleted by
    "clients/partner": (READ, ACT, ""),
    "clients/externalclient": (READ, "", ""),
    "auth/user": (KEYS, KEYS, KEYS),
    "auth/group": (KEYS, KEYS, KEYS),
    "messaging/message": (READ, "", ""),
    "messaging/campaign": (READ, ACT, ACT),
    "messaging/providerstate": (READ, "", ""),
    "messaging/suppression": (READ, ACT, ""),
    "clients/applicant": (READ, "", ""),
    "tokens/verificationtoken": (READ, "", ""),
    "tokens/ladderforgiveness": (READ, "", ""),
    "external_api/apirequest": (READ, "", ""),
    "clients/authorizedclient": (READ, "", ""),
    "subscription/subscriptionrequest": (READ, "", ""),
    "subscription/consentrecord": (READ, "", ""),
    "webhooks/endpoint": (READ, KEYS, KEYS),
    "webhooks/delivery": (READ, "", ""),
    "clients/auditentry": ("ADB", "", ""),
}
OPENED_BY = {
    "/soporte/": DESK,
    "/soporte/mensajes/": DESK,
    "/soporte/mensajes.<slug:form>": DESK,
    "/soporte/caso/<slug:kind>/<slug:key>/": DESK,
    "/soporte/caso/<slug:kind>/<slug:key>/mostrar/": "",  # actions take POST only
    "/soporte/caso/<slug:kind>/<slug:key>/datos/exportar/": "",
    "/soporte/caso/<slug:kind>/<slug:key>/datos/borrar/": ACT,
    "/soporte/caso/<slug:kind>/<slug:key>/<slug:what>/": "",
    "/soporte/borrado/<slug:key>/": "",  # the rows have no erasure
    "/cuenta/": STAFF,
    "/cuenta/codigo/": "",  # redirects: these users are logged in
    "/cuenta/codigo/respaldo/": "",
    "/cuenta/segundo-factor/": STAFF,
    "/cuenta/segundo-factor/codigos/": "",  # the rows have no second factor
    "/cuenta/segundo-factor/quitar/": "",
    "/cuenta/segundo-factor/restablecer/<int:pk>/": KEYS,
    "/admin/search/": STAFF,
    "/admin/tablero/": READ,
    "/admin/uso/": READ,
    "/admin/uso/csv/": READ,
    "/admin/servicio/": READ,
    "/admin/": "NAODB",  # agents are sent to the desk
    "/admin/login/": "-",
    "/admin/logout/": "",
    "/admin/password_change/": STAFF,
    "/admin/password_change/done/": STAFF,
    "/admin/autocomplete/": "",
    "/admin/jsi18n/": STAFF,
    "/admin/r/<path:content_type_id>/<path:object_id>/": "",
    "/admin/^(?P<app_label>clients|auth|messaging|tokens|webhooks|external_api|subscription)/$": READ,
    "/admin/(?P<url>.*)$": "",
    f"/admin/clients/partner/{OBJECT}/credencial/": KEYS,
    f"/admin/clients/partner/{OBJECT}/credencial/prueba/": KEYS,
    f"/admin/clients/partner/{OBJECT}/credencial/<int:key>/rotar/": KEYS,
    f"/admin/clients/partner/{OBJECT}/credencial/<int:key>/revocar/": KEYS,
    f"/admin/webhooks/endpoint/{OBJECT}/secreto/": KEYS,
    "/admin/auth/user/<id>/password/": KEYS,
    "/admin/messaging/campaign/<int:key>/avance/": READ,
    "/admin/messaging/campaign/<int:key>/copiar/": ACT,
    "/admin/messaging/campaign/<int:key>/prueba/": ACT,
    "/admin/messaging/campaign/<int:key>/programar/": ACT,
    "/admin/messaging/campaign/<int:key>/pausar/": "",  # steps that a draft does not have
    "/admin/messaging/campaign/<int:key>/reanudar/": "",
    "/admin/messaging/campaign/<int:key>/borrador/": "",
    "/admin/messaging/campaign/<int:key>/anular/": "",
    "/admin/clients/authorizedclient/importar/": ACT,
    "/admin/clients/authorizedclient/exportar.csv": READ,
    "/admin/clients/authorizedclient/exportar.xlsx": READ,
    r"/v1/api^/admin/clients/?\Z": DESK,
    r"/v1/api^/admin/clients/(?P<client>[^/]+)/?\Z": DESK,
    r"/v1/api^/admin/messages/?\Z": DESK,
} | {
    f"/admin/{model}/{page}": who
    for model, (read, add, delete) in MODELS.items()
    for page, who in {
        "": read,
        "add/": add,
        f"{OBJECT}/history/": read,
        f"{OBJECT}/change/": read,
        f"{OBJECT}/delete/": delete,
        f"{OBJECT}/": "",
    }.items()
}
EXPORT = "/soporte/mensajes.<slug:form>"
"""This URL takes GET only."""
IN_FULL = {who: {API, "/admin/"} if who in READ else set() for who in ALL_ROLES}
"""URL prefixes below which a GET may show whole destinations: never at the desk."""


MAIL, PHONE = "quispecusi@correo.example", "955512345"


@pytest.fixture
def rows(db):
    everything("dato", [1])
    Applicant.objects.update(email=MAIL, proved_via="S", proved_destination=PHONE)
    AuthorizedClient.objects.update(email=MAIL, phone=PHONE)
    ExternalClient.objects.update(phone=PHONE)
    Message.objects.update(recipient=MAIL, provider_reply=f"accepted for {MAIL}")


class RoleClient:
    """Client of one role: pages with a session, the staff API with a token."""

    def __init__(self, who):
        self.who = who
        self.http = Client(raise_request_exception=False)
        self.headers = {}
        if who == "-":
            return
        make = User.objects.create_superuser if who == "B" else User.objects.create_user
        user = make(f"caminante{who}", is_staff=True)
        if who in ROLES:
            user.groups.add(Group.objects.get(name=ROLES[who]))
        self.http.force_login(user)
        self.headers = {"Authorization": f"Bearer {issue_for(user, at=datetime.now(UTC))}"}

    def ask(self, method, route, path):
        if route.startswith(API):
            return getattr(Client(raise_request_exception=False), method)(path, headers=self.headers)
        return getattr(self.http, method)(path)


def test_every_address_is_declared_and_every_declaration_is_an_address(rows):
    assert {route for route, _ in addresses()} == set(OPENED_BY)


@pytest.mark.parametrize("who", ALL_ROLES)
def test_a_role_opens_what_is_declared_and_sees_destinations_as_declared(rows, who):
    caller = RoleClient(who)
    for route, path in addresses():
        for method in SAFE:
            answer = caller.ask(method, route, path)
            text = body_of(answer).decode(errors="replace")
            opens = who in OPENED_BY[route] and (method, route) != ("head", EXPORT)
            assert (answer.status_code == 200) == opens, (who, method, path, answer.status_code)
            assert opens or answer.status_code in (302, 401, 403, 404, 405), (who, method, path, answer.status_code)
            if MAIL in text or PHONE in text:
                assert route.startswith(tuple(IN_FULL[who])), (who, path)
                assert opens, (who, path)


@pytest.mark.parametrize("who", READ)
def test_users_who_may_see_whole_destinations_see_them(rows, who):
    caller = RoleClient(who)
    for route, path in addresses():
        if route.startswith(API):
            assert MAIL in caller.ask("get", route, path).content.decode(), path


def test_the_desk_and_its_agents_see_masked_destinations(rows):
    caller = RoleClient("S")
    shown = [(r, body_of(caller.ask("get", r, p)).decode()) for r, p in addresses() if "S" in OPENED_BY[r]]
    assert {route for route, text in shown if "q•••@correo.example" in text} >= {
        "/soporte/mensajes/",
        "/soporte/mensajes.<slug:form>",
        "/soporte/caso/<slug:kind>/<slug:key>/",
        r"/v1/api^/admin/clients/?\Z",
        r"/v1/api^/admin/messages/?\Z",
    }


@pytest.mark.parametrize("who", ALL_ROLES)
def test_an_empty_form_or_another_method_changes_nothing_and_opens_nothing_more(rows, who):
    caller = RoleClient(who)
    before = state()
    for nth, (route, path) in enumerate(addresses(), ALL_ROLES.index(who)):
        if route in ("/admin/login/", "/admin/logout/", "/cuenta/segundo-factor/"):
            continue
        for method in ("post", OTHERS[nth % len(OTHERS)]):  # each method at each URL, by one or two of the roles
            answer = caller.ask(method, route, path)
            assert answer.status_code < 500, (who, method, path)
            text = body_of(answer).decode(errors="replace")
            if who not in OPENED_BY[route]:
                assert answer.status_code != 200 or method == "options", (who, method, path)
                assert MAIL not in text, (who, method, path)
                assert PHONE not in text, (who, method, path)
            if route.startswith(API):
                assert answer.status_code in (401, 405), (who, method, path)
    counted, kept = state()
    assert (_but_the_audit(counted), kept) == (_but_the_audit(before[0]), before[1])


COUNTERS = ("clients_auditentry", "external_api_apirequest", "clients_loginfailures", "messaging_ratecount")
"""Tables that may grow with a refused call: its record, and the counters that limit the next ones."""


def _but_the_audit(counts):
    return [each for each in counts if each[0] not in COUNTERS]


@pytest.mark.parametrize("who", ["N", "S", "B"])
def test_a_session_or_a_role_changes_no_answer_outside_the_staff_s_urls(rows, who):
    caller, stranger = RoleClient(who), Client(raise_request_exception=False)
    public = [each for each in dict.fromkeys(routes()) if any(re.match(out, each) for out in NOT_OF_THE_STAFF)]
    assert len(public) > 15
    for route in public:
        named = {"client": Applicant.objects.get().pk, "message_id": Message.objects.first().pk}
        path = filled(route, {**dict.fromkeys(names_of(route), "1"), **named}).replace(".*", "x")
        for method in ("get", "post"):
            theirs, anybodys = getattr(caller.http, method)(path), getattr(stranger, method)(path)
            assert theirs.status_code == anybodys.status_code, (method, path)
            assert MAIL not in body_of(theirs).decode(errors="replace"), path
