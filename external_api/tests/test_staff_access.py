"""Access to the staff API: accounts, lifetime of a token, methods; and that its token opens nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.test import Client

from clients.credentials import authenticate
from clients.errors import CredentialRefused
from conftest import make_applicant
from external_api.informaperu.staff_tokens import issue_for
from external_api.models import ApiRequest
from external_api.tests.staff_agent import BASE, LISTS, SEES_ALL, Desk, member

pytestmark = pytest.mark.django_db

UNAUTHORIZED = {
    "error": "No autorizado",
    "message": "La credencial falta, es inválida o ha expirado.",
    "code": "ERR_UNAUTHORIZED",
}


@pytest.fixture
def agent(db):
    return member("ana", *SEES_ALL)


@pytest.fixture
def desk(agent):
    return Desk(agent)


def everywhere():
    return (*LISTS, f"{BASE}/clients/{uuid4()}", f"{BASE}/clients/x")


def assert_refused(headers):
    http = Client(raise_request_exception=False)
    for path in everywhere():
        answer = http.get(path, headers=headers)
        assert answer.status_code == 401, (path, answer.content)
        assert answer.json() == UNAUTHORIZED
        assert answer["WWW-Authenticate"] == "Bearer"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("is_open", [True, False])
def test_every_endpoint_needs_a_staff_token(informa, agent, settings, is_open):
    settings.INFORMAPERU_OPEN = is_open
    token = issue_for(agent, at=datetime.now(UTC))
    for headers in (
        {},
        bearer(""),
        bearer("x"),
        bearer(informa.token),
        bearer(informa.jwt),
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": f"Token {token}"},
    ):
        assert_refused(headers)


def test_the_token_counts_in_its_header_only(agent):
    token = issue_for(agent, at=datetime.now(UTC))
    http = Client(raise_request_exception=False)
    for query in (f"token={token}", f"access_token={token}", f"Authorization=Bearer+{token}"):
        assert http.get(f"{BASE}/clients?{query}").status_code == 401


def test_a_browser_s_session_is_no_token(agent):
    http = Client(raise_request_exception=False)
    http.force_login(agent)
    assert http.get(f"{BASE}/clients").status_code == 401


def test_a_staff_token_ends_after_an_hour(agent):
    now = datetime.now(UTC)
    assert Client().get(LISTS[0], headers=bearer(issue_for(agent, at=now - timedelta(minutes=59)))).status_code == 200
    assert_refused(bearer(issue_for(agent, at=now - timedelta(minutes=61))))


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_a_token_ends_when_its_holder_is_no_longer_staff(desk, agent, change):
    assert desk.get(LISTS[0]).status_code == 200
    User.objects.filter(pk=agent.pk).update(**change)
    assert_refused(desk.headers)


def test_a_token_ends_with_its_holder_and_with_their_password(desk, agent):
    other = Desk(User.objects.create_user("luis", is_staff=True))
    agent.set_password("otra clave larga")
    agent.save()
    assert_refused(desk.headers)
    User.objects.filter(username="luis").delete()
    assert_refused(other.headers)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "aval:partner"},
        {"token_type": "partner"},
        {"iss": "x"},
        {"sub": "x"},
        {"sub": "999999999999999999999999"},
        {"sub": "-1"},
        {"login": "x"},
        {"login": None},
        {"exp": None},
        {"jti": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_forged_one_is_refused(agent, change):
    claims = jwt.decode(issue_for(agent, at=datetime.now(UTC)), options={"verify_signature": False}) | change
    claims = {name: value for name, value in claims.items() if value is not None}
    assert_refused(bearer(jwt.encode(claims, site.JWT_KEYS[0], algorithm="HS256")))


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_another_algorithm_is_refused(agent, algorithm):
    claims = jwt.decode(issue_for(agent, at=datetime.now(UTC)), options={"verify_signature": False})
    assert_refused(bearer(jwt.encode(claims, "" if algorithm == "none" else site.JWT_KEYS[0], algorithm=algorithm)))


@pytest.mark.parametrize("is_open", [True, False])
def test_a_staff_token_opens_no_partner_s_endpoint(desk, settings, is_open):
    settings.INFORMAPERU_OPEN = is_open
    client = make_applicant()
    for method, path in (
        ("post", "/client"),
        ("post", f"/client/{client.pk}/token"),
        ("get", f"/client/{client.pk}/verify/A1B2"),
        ("post", f"/client/{client.pk}/cancel"),
        ("post", f"/client/{client.pk}/expire"),
        ("get", f"/client/{client.pk}/cooldown/S"),
    ):
        answer = getattr(desk.http, method)(f"/v1/api{path}", headers=desk.headers)
        assert answer.status_code == 401, path
        assert answer.json() == UNAUTHORIZED
    with pytest.raises(CredentialRefused):
        authenticate(desk.headers["Authorization"].removeprefix("Bearer "), at=datetime.now(UTC))


def test_refused_tokens_are_counted_per_address(settings, db):
    settings.RATE_PER_ADDRESS = 10  # a fifth of it for refused credentials
    http = Client(raise_request_exception=False)
    statuses = [http.get(LISTS[0], headers=bearer("x")).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]


def test_head_answers_like_get_without_a_body(desk):
    for path in (*LISTS, f"{BASE}/clients/{make_applicant().pk}"):
        answer = desk.http.head(path, headers=desk.headers)
        assert answer.status_code == 200
        assert answer.content == b""


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options", "trace"])
def test_other_methods_are_refused(desk, method):
    for path in (*LISTS, f"{BASE}/clients/{make_applicant().pk}"):
        answer = getattr(desk.http, method)(path, headers=desk.headers)
        assert answer.status_code == 405
        assert answer["Allow"] == "GET, HEAD"
        assert answer.json()["code"] == "ERR_METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("client", ["5e0c2b54-7a0f-4d5d-9f6c-1c3f1f0f6a11", "x", "1", "%01", "0" * 500, "{}", "٠" * 32])
def test_an_unknown_client(desk, client):
    answer = desk.get(f"{BASE}/clients/{client}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "ERR_CLIENT_NOT_FOUND"


@pytest.mark.parametrize("path", ["", "/", "/messages/1", "/clients/x/tokens", "/users"])
def test_an_unknown_path(desk, path):
    answer = desk.get(BASE + path)
    assert answer.status_code == 404
    assert answer.json()["code"] == "ERR_NOT_FOUND"


def test_with_a_trailing_slash(desk):
    make_applicant()
    assert desk.get(f"{BASE}/clients/").json() == desk.get(f"{BASE}/clients").json()


def test_the_user_of_a_query_is_in_the_log(desk):
    desk.get(f"{BASE}/clients", documento="12345678")
    row = ApiRequest.objects.get()
    assert (row.user, row.action, row.status, row.partner) == ("ana", "admin/clients", 200, None)
