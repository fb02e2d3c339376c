"""Access to contract 3: a partner's live JWT in the Authorization header, and nothing else."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from clients.credentials import issue, revoke
from clients.models import AuditEntry, Credential, ExternalClient
from conftest import EXTERNAL_CLIENT, Registrar, _member
from conftest import forged as forged_of
from external_api.informaperu.staff_tokens import issue_for
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db
UNKNOWN_CLIENT = UUID("5e0c2b54-7a0f-4d5d-9f6c-1c3f1f0f6a11")

HEADER = {
    "title": "No Autorizado",
    "message": "El token de autenticación es inválido o ha expirado.",
    "type": "error",
    "code": "401",
}


def refused(answer):
    assert (answer.status_code, answer.get("WWW-Authenticate")) == (401, "Bearer")
    body = answer.json()
    assert body["header"].pop("event_id").startswith("event_")
    assert body == {"header": HEADER}, "nothing in it says why"
    assert not ExternalClient.objects.exists()
    return True


def forged(member, **changes):
    """A JWT with the claims of the partner's live one, changed."""
    credential = Credential.objects.get(partner=member.partner, kind="jwt")
    return forged_of(credential, at=datetime.now(UTC), **changes)


def send(header=None, path=Registrar.path):
    headers = {} if header is None else {"Authorization": header}
    return Client(raise_request_exception=False).post(
        path, EXTERNAL_CLIENT, content_type="application/json", headers=headers
    )


def test_a_jwt_opens_and_one_made_like_it_too(registry):
    """So that the forgeries below fail for their own reason."""
    assert send(f"Bearer {registry.jwt}").status_code == 200
    assert send(f"bearer  {registry.jwt} ").status_code == 200
    assert send(f"Bearer {forged(registry)}").status_code == 200


def test_no_token(registry):
    assert refused(send())


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x", "JWT x", "Negotiate abc", "Digest x"]
)
def test_a_header_without_a_bearer(registry, header):
    assert refused(send(header))


def test_the_right_jwt_under_another_scheme(registry):
    assert refused(send(registry.jwt))
    assert refused(send(f"Token {registry.jwt}"))


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "á", "x" * 5000, "null", "{}", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
def test_a_malformed_token(registry, token):
    assert refused(send(f"Bearer {token}"))


@pytest.mark.parametrize(
    "change",
    [
        {"key": "", "algorithm": "none"},
        {"key": "another-key-of-more-than-32-characters-in-all"},
        {"algorithm": "HS384"},
        {"algorithm": "HS512"},
        {"aud": "aval:staff"},
        {"aud": "somebody"},
        {"without": ("aud",)},
        {"token_type": "staff"},
        {"token_type": "access"},
        {"without": ("token_type",)},
        {"iss": "somebody"},
        {"without": ("exp",)},
        {"exp": 1},
        {"exp": None},
        {"without": ("jti",)},
        {"jti": UNKNOWN_CLIENT.hex},
    ],
    ids=str,
)
def test_a_forged_jwt(registry, change):
    assert refused(send(f"Bearer {forged(registry, **change)}"))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "HS512", "RS256"])
def test_the_right_claims_under_another_algorithm_s_name(registry, name):
    _, claims, signature = registry.jwt.split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": name, "typ": "JWT"}).encode()).decode().rstrip("=")
    assert refused(send(f"Bearer {header}.{claims}."))
    assert refused(send(f"Bearer {header}.{claims}.{signature}"))


def test_an_algorithm_of_public_keys(registry):
    """The classic: the token says RS256, and a careless library takes its own secret for a public key."""
    assert refused(send(f"Bearer {forged(registry, key=generate_private_key(65537, 2048), algorithm='RS256')}"))


def test_an_expired_jwt(registry):
    now = datetime.now(UTC)
    _, old = issue(registry.partner, "jwt", at=now - timedelta(days=2), by="x", expires_at=now - timedelta(seconds=1))
    assert refused(send(f"Bearer {old}"))
    Credential.objects.filter(partner=registry.partner).update(expires_at=now - timedelta(seconds=1))
    assert refused(send(f"Bearer {registry.jwt}")), "staff may shorten its life: the row counts too"


def test_a_revoked_jwt_ends_with_the_next_request_and_another_stays_valid(registry):
    now = datetime.now(UTC)
    _, other = issue(registry.partner, "jwt", at=now, by="ana")
    revoke(Credential.objects.filter(kind="jwt").earliest("id"), at=now, by="ana", reason="se filtró")
    assert refused(send(f"Bearer {registry.jwt}"))
    assert send(f"Bearer {other}").status_code == 200


def test_revoking_by_command(registry, capsys):
    credential = Credential.objects.get(kind="jwt")
    call_command("revoke_credential", credential.prefix)
    assert refused(send(f"Bearer {registry.jwt}"))


def test_issuing_by_command(registry, capsys):
    call_command("issue_credential", "registro", "--kind", "jwt", "--days", "30", "--json")
    secret = json.loads(capsys.readouterr().out)["secret"]
    assert send(f"Bearer {secret}").status_code == 200


def test_an_opaque_token(registry):
    assert refused(send(f"Bearer {registry.token}"))


def test_a_staff_login_does_not_open_it_nor_a_partner_s_jwt_the_staff_api(registry):
    superuser = User.objects.create_superuser("ana")
    staff = issue_for(superuser, at=datetime.now(UTC))
    assert refused(send(f"Bearer {staff}"))
    http = Client()
    assert http.get("/v1/api/admin/clients", headers={"Authorization": f"Bearer {staff}"}).status_code == 200
    assert http.get("/v1/api/admin/clients", headers={"Authorization": f"Bearer {registry.jwt}"}).status_code == 401


def test_a_session_of_the_admin_does_not_open_it(registry):
    http = superuser_browser()
    assert refused(http.post(Registrar.path, EXTERNAL_CLIENT, content_type="application/json"))


def test_a_token_in_the_query_the_body_or_a_cookie_is_none(registry):
    query = f"?token={registry.jwt}&access_token={registry.jwt}&jwt={registry.jwt}"
    assert refused(send(path=Registrar.path + query))
    http = Client()
    http.cookies["token"] = registry.jwt
    body = EXTERNAL_CLIENT | {"token": registry.jwt, "access_token": registry.jwt}
    assert refused(http.post(Registrar.path, body, content_type="application/json"))


def test_a_partner_without_this_contract_and_one_switched_off(informa, nopasanada, registry):
    assert refused(send(f"Bearer {informa.jwt}"))
    assert refused(send(f"Bearer {nopasanada.jwt}"))
    registry.partner.is_active = False
    registry.partner.save()
    assert refused(send(f"Bearer {registry.jwt}"))
    registry.partner.is_active, registry.partner.contracts = True, ["nopasanada"]
    registry.partner.save()
    assert refused(send(f"Bearer {registry.jwt}"))


def test_a_jwt_of_this_contract_does_not_open_contract_1(registry):
    registry.partner.contracts = ["nopasanada", "registry"]
    registry.partner.save()
    answer = Client().post(
        "/api/v1",
        {"usuario": "x", "solicitud": "clientes_autorizados"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {registry.jwt}"},
    )
    assert answer.status_code == 401


def test_another_partner_s_client_id_is_a_client_of_one_s_own(registry, registrar, elsewhere):
    theirs = Registrar(elsewhere.jwt)
    first = registrar.register()
    assert theirs.register(first_name="Ana") != first
    assert registrar.register() == first
    assert set(ExternalClient.objects.values_list("partner__name", "first_name")) == {
        ("Registro", "Juan"),
        ("Elsewhere", "Ana"),
    }


def test_a_call_without_access_gets_401_whatever_else_is_wrong(registry):
    http = Client(raise_request_exception=False)
    for call in (
        lambda: http.post(Registrar.path, b"{", content_type="application/json"),
        lambda: http.post(Registrar.path, b"x", content_type="text/plain"),
        lambda: http.get(Registrar.path),
    ):
        assert refused(call())


def test_the_token_is_in_no_row_of_the_log_and_of_the_history(registrar, registry, caplog):
    caplog.set_level("DEBUG")
    registrar.register()
    registrar.register(first_name="Ana")
    stored = str(list(AuditEntry.objects.values())) + caplog.text
    assert registry.jwt not in stored
    assert registry.jwt.rpartition(".")[2] not in stored


def test_a_new_partner_of_this_contract_alone(db):
    assert send(f"Bearer {_member('Sola', contracts=['registry']).jwt}").status_code == 200
