"""Access: open and closed contracts, and every endpoint with every kind of caller."""

import pytest
from django.urls import URLPattern, get_resolver

from clients.credentials import revoke
from clients.models import Credential
from conftest import NOW, REGISTRATION, delivered_code
from external_api.informaperu import urls
from external_api.registry import urls as registry_urls
from messaging.models import Message
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db


def partner_paths(client):
    """Every path of the contract that is a partner's, from the URL map itself."""
    resolver = get_resolver(urls)
    found = []
    for pattern in resolver.url_patterns:
        assert isinstance(pattern, URLPattern)
        view = pattern.callback.view_class
        if view.__module__ != "external_api.informaperu.views" or not view.takes_credential:
            continue  # the staff API and status have tests of their own
        path = str(pattern.pattern).replace("(?P<client>[^/]+)", client).replace("(?P<token>[^/]+)", "A1B2")
        path = path.replace("(?P<via>[^/]+)", "S").removeprefix("^").replace("/?\\Z", "")
        found += [(method, path) for method in pattern.callback.view_class.http_method_names if method != "head"]
    return found


def call(front, method, path, headers):
    return front.post(path, {}, **headers) if method == "post" else front.get(path, **headers)


def test_the_url_map_has_the_six_partner_endpoints():
    assert [path for _, path in partner_paths("ID")] == [
        "/client",
        "/client/ID/token",
        "/client/ID/verify/A1B2",
        "/client/ID/cancel",
        "/client/ID/expire",
        "/client/ID/cooldown/S",
    ]


def test_every_endpoint_of_contract_3_wants_a_jwt(front, informa, registry):
    """From its URL map: an endpoint without a credential must be listed here."""
    views = {pattern.name: pattern.callback.view_class for pattern in get_resolver(registry_urls).url_patterns}
    assert [name for name, view in views.items() if view.takes_credential] == ["registry"]
    assert set(views) == {"registry", "registry-nothing-here"}
    for headers in ({}, informa.headers, registry.headers, {"Authorization": f"Bearer {informa.jwt}"}):
        answer = front.http.post("/external/client/registry", headers=headers)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_a_closed_contract_wants_a_credential_everywhere_but_at_status(front, settings):
    settings.INFORMAPERU_OPEN = False
    for method, path in partner_paths("00000000-0000-4000-8000-000000000000"):
        answer = call(front, method, path, {})
        assert (answer.status_code, answer.json()["code"]) == (401, "ERR_UNAUTHORIZED"), path
        assert answer["WWW-Authenticate"] == "Bearer"
    assert front.get("/status").status_code == 200


@pytest.mark.parametrize("kind", ["token", "jwt"])
@pytest.mark.parametrize("is_open", [True, False])
def test_either_kind_of_credential_is_accepted(front, informa, settings, kind, is_open):
    settings.INFORMAPERU_OPEN = is_open
    headers = {"Authorization": f"bearer {getattr(informa, kind)}"}
    client = front.register(headers)
    assert front.ask(client, headers).status_code == 200
    assert front.verify(client, delivered_code(), **headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer " + "A" * 32,
        "Bearer a.b.c",
        "Bearer á",
        "Bearer " + "x" * 5000,
        "Bearer eyJhbGciOiJub25lIn0.eyJqdGkiOiIxIn0.",
    ],
)
def test_a_credential_that_is_sent_is_always_checked(front, header):
    answer = front.post("/client", REGISTRATION, Authorization=header)
    assert (answer.status_code, answer.json()["code"]) == (401, "ERR_UNAUTHORIZED")


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Token x", "", "Negotiate abc"])
def test_another_scheme_counts_as_none(front, settings, header):
    assert front.post("/client", REGISTRATION, Authorization=header).status_code == 201
    settings.INFORMAPERU_OPEN = False
    assert front.post("/client", REGISTRATION, Authorization=header).status_code == 401


def test_a_token_in_the_query_or_the_body_is_no_credential(front, informa, settings):
    settings.INFORMAPERU_OPEN = False
    answer = front.post(f"/client?token={informa.token}&access_token={informa.token}", {"token": informa.token})
    assert answer.status_code == 401


def test_a_partner_without_this_contract_and_one_switched_off_are_refused(front, elsewhere, switched_off):
    for member in (elsewhere, switched_off):
        assert front.post("/client", REGISTRATION, **member.headers).status_code == 401


def test_revocation_and_switching_off_hold_from_the_next_request(front, informa):
    assert front.post("/client", REGISTRATION, **informa.headers).status_code == 201
    revoke(Credential.objects.get(kind="opaque", partner=informa.partner), at=NOW, by="ana", reason="rotada")
    assert front.post("/client", REGISTRATION, **informa.headers).status_code == 401
    by_jwt = {"Authorization": f"Bearer {informa.jwt}"}
    assert front.post("/client", REGISTRATION, **by_jwt).status_code == 201
    informa.partner.is_active = False
    informa.partner.save()
    assert front.post("/client", REGISTRATION, **by_jwt).status_code == 401


@pytest.mark.parametrize("owner", ["nobody", "informa"])
def test_another_s_client_is_not_found_on_any_endpoint(front, informa, stranger, owner):
    theirs = informa.headers if owner == "informa" else {}
    client = front.register(theirs)
    front.ask(client, theirs)
    others = [stranger.headers, {}] if owner == "informa" else [stranger.headers, informa.headers]
    for headers in others:
        for method, path in partner_paths(client):
            if path == "/client":
                continue
            body = {"via": "C"} if path.endswith("/token") else {}
            answer = front.post(path, body, **headers) if method == "post" else front.get(path, **headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "ERR_CLIENT_NOT_FOUND"), path
    token = VerificationToken.objects.get()
    assert (token.outcome, token.wrong_tries) == ("PENDIENTE", 0), "a stranger's tries count nothing"


def test_the_same_person_is_another_client_with_each_partner(front, informa, stranger):
    ids = {front.register(), front.register(informa.headers), front.register(stranger.headers)}
    assert len(ids) == 3
    assert front.register(informa.headers) in ids


def test_a_message_carries_its_partner_credential_and_request(front, informa):
    client = front.register(informa.headers)
    front.ask(client, informa.headers)
    message = Message.objects.get()
    assert (message.partner, message.credential.kind) == (informa.partner, "opaque")
    assert message.request_id is not None


def test_extra_fields_change_nothing(front):
    client = front.register(id="00000000-0000-4000-8000-000000000000", state="VALIDADO", partner=1, is_staff=True)
    assert front.get(f"/client/{client}/cooldown/S").json()["data"]["can_request"] is True
