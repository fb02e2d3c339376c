"""`POST /v1/api/auth/login`: staff get an hour; all others learn nothing, and are locked after five tries."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from clients.models import AuditEntry
from external_api.informaperu.staff_tokens import StaffToken, user_of_token
from external_api.models import ApiRequest
from staff import second_factor
from staff.tests.authenticator import code, rested, wrong

pytestmark = pytest.mark.django_db

PASSWORD = "una clave  larga"  # two blanks: it is taken as it is typed
REFUSED = {"error": "No autorizado", "message": "Usuario o contraseña incorrectos.", "code": "ERR_INVALID_CREDENTIALS"}
LOCKED = {
    "error": "Demasiadas solicitudes",
    "message": "Se superó el límite permitido. Intente más tarde.",
    "code": "ERR_RATE_LIMITED",
}


class CountingHasher(MD5PasswordHasher):
    """Quick, and knows how often it was asked: the cost of a login is its hashes."""

    asked = 0

    def encode(self, password, salt):
        type(self).asked += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def quick_hashes(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]


@pytest.fixture
def cast(quick_hashes):
    User.objects.create_user("ana", password=PASSWORD, is_staff=True)
    User.objects.create_user("inactiva", password=PASSWORD, is_staff=True, is_active=False)
    User.objects.create_user("cliente", password=PASSWORD)
    User.objects.create_user("sinclave", is_staff=True)


def login(name="ana", password=PASSWORD, *, address="192.0.2.1", path="/v1/api/auth/login", **more):
    """What is called as a header is one; `codigo` goes into the body."""
    http = Client(REMOTE_ADDR=address, raise_request_exception=False)
    headers = {each: more.pop(each) for each in list(more) if each[0].isupper()}
    body = {"username": name, "password": password, **more}
    return http.post(path, body, content_type="application/json", headers=headers)


def fail(times, name="ana", **where):
    for _ in range(times):
        answer = login(name, "otra", **where)
        assert answer.status_code == 401
        assert answer.json() == REFUSED


def test_staff_gets_a_bearer_token_for_an_hour(cast):
    answer = login()
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["token", "token_type", "expires_in"]
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
    assert answer["Cache-Control"] == "no-store"
    claims = StaffToken(body["token"]).payload
    assert claims["exp"] - claims["iat"] == 3600
    assert (claims["aud"], claims["token_type"]) == ("aval:staff", "staff")
    ana = User.objects.get(username="ana")
    assert user_of_token(body["token"]) == ana
    assert ana.last_login is not None
    assert ana.password not in body["token"]
    assert ana.get_session_auth_hash() not in str(claims)


def test_with_and_without_a_trailing_slash(cast):
    assert login(path="/v1/api/auth/login/").status_code == 200


@pytest.mark.parametrize("name", ["ana", "nadie", "inactiva", "cliente", "sinclave", "ANA", "' OR 1=1 --"])
def test_every_failed_login_gets_the_same_answer_after_the_same_work(cast, name):
    CountingHasher.asked = 0
    answer = login(name, PASSWORD if name in ("inactiva", "cliente") else "otra")
    assert answer.status_code == 401
    assert answer.json() == REFUSED
    assert not answer.has_header("Retry-After")
    assert CountingHasher.asked == 1


@pytest.mark.parametrize("password", ["una clave larga", " " + PASSWORD, PASSWORD + " ", PASSWORD.upper(), "x"])
def test_a_password_is_taken_as_it_is_typed(cast, password):
    assert login(password=password).status_code == 401


@pytest.mark.parametrize("name", ["ana", "nadie", "inactiva", "cliente"])
def test_after_five_failures_of_a_name_it_is_locked_from_that_address(cast, name):
    password = PASSWORD if name in ("inactiva", "cliente") else "otra"
    for _ in range(5):
        assert login(name, password).status_code == 401
    CountingHasher.asked = 0
    for each in (password, PASSWORD, "otra"):
        answer = login(name, each)
        assert answer.status_code == 429
        assert answer.json() == LOCKED
        assert 0 < int(answer["Retry-After"]) <= 15 * 60
    assert CountingHasher.asked == 0


def test_a_lock_is_of_one_name_and_one_address(cast):
    fail(5)
    assert login().status_code == 429
    assert login(address="192.0.2.2").status_code == 200
    assert login("nadie", "otra").status_code == 401


def test_a_browser_that_changes_its_name_is_counted_on(cast):
    for number in range(5):
        assert login(password="otra", **{"User-Agent": f"browser {number}"}).status_code == 401
    assert login(**{"User-Agent": "another"}).status_code == 429


def test_the_admin_s_own_login_shares_the_count(cast):
    fail(5)
    http = Client(REMOTE_ADDR="192.0.2.1")
    assert http.post("/admin/login/", {"username": "ana", "password": PASSWORD}).status_code == 429


def test_a_lock_ends_by_itself_and_says_when(cast):
    fail(5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    answer = login()
    assert answer.status_code == 429
    assert 50 <= int(answer["Retry-After"]) <= 60
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))
    assert login().status_code == 200


def test_asking_during_the_lock_does_not_lengthen_it(cast):
    fail(5)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    for _ in range(3):
        assert int(login()["Retry-After"]) <= 60


def test_a_successful_login_resets_the_failures(cast):
    fail(4)
    assert login().status_code == 200
    fail(4)
    assert login().status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_parallel_tries_five_at_most_are_compared(cast):
    def once(_):
        try:
            return login(password="otra").status_code
        finally:
            connection.close()

    CountingHasher.asked = 0
    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(once, range(20)))
    assert 1 <= statuses.count(401) <= 5
    assert statuses.count(401) + statuses.count(429) == 20
    assert CountingHasher.asked == statuses.count(401)


def test_the_login_is_open_where_the_contract_is_closed(cast, settings):
    settings.INFORMAPERU_OPEN = False
    assert login().status_code == 200
    assert login(Authorization="Bearer nonsense").status_code == 200


def test_calls_are_counted_per_address(cast, settings):
    settings.RATE_PER_ADDRESS = 3
    for number in range(3):
        assert login(f"nadie{number}").status_code == 401
    answer = login()
    assert answer.status_code == 429
    assert answer.json() == LOCKED
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert login(address="192.0.2.2").status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["username", "password"]),
        ({"username": "ana"}, ["password"]),
        ({"username": "ana", "password": ""}, ["password"]),
        ({"username": "ana", "password": None}, ["password"]),
        ({"username": "ana", "password": 12345678}, ["password"]),
        ({"username": ["ana"], "password": "x"}, ["username"]),
        ({"username": {"$ne": ""}, "password": {"$ne": ""}}, ["username", "password"]),
        ({"username": "a" * 151, "password": "x"}, ["username"]),
        ({"username": "ana", "password": "x" * 129}, ["password"]),
        ({"username": "ana\u202e", "password": "x"}, ["username"]),
        ({"username": "ana", "password": "x", "codigo": 123456}, ["codigo"]),
        ({"username": "ana", "password": "x", "codigo": ["123456"]}, ["codigo"]),
        ({"username": "ana", "password": "x", "codigo": "1" * 21}, ["codigo"]),
    ],
    ids=str,
)
def test_a_body_without_name_and_password_names_the_fields(cast, body, fields):
    answer = Client(raise_request_exception=False).post("/v1/api/auth/login", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "ERR_VALIDATION"
    assert sorted(answer.json()["details"]) == sorted(fields)
    assert not AccessAttempt.objects.exists()


@pytest.mark.parametrize("query", ["?x=%00", "?x=%ED%A0%80", "?x=%FF", "?username=ana&password=x", "?" + "a=1&" * 1001])
def test_a_hostile_query_beside_a_wrong_password(cast, query):
    answer = login(password="otra", path=f"/v1/api/auth/login{query}")
    assert answer.status_code in (400, 401)
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_it_is_a_post(method):
    answer = getattr(Client(raise_request_exception=False), method)("/v1/api/auth/login")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


def test_neither_password_nor_token_nor_a_rejected_name_is_stored(cast, caplog):
    caplog.set_level("DEBUG")
    login("ana", "clave-errada-77")
    token = login().json()["token"]
    failed, succeeded = ApiRequest.objects.order_by("id")
    assert (failed.action, failed.status, failed.user) == ("login", 401, "")  # people type a password there by mistake
    assert (succeeded.action, succeeded.status, succeeded.user) == ("login", 200, "ana")
    login("ana", "clave-errada-77")
    stored = " ".join(str(row) for row in AccessAttempt.objects.values_list()) + caplog.text
    assert "clave-errada-77" not in stored
    assert PASSWORD not in stored
    assert token not in stored


# --- the second factor ---------------------------------------------------------------------------------------


@pytest.fixture
def key(cast):
    """Of ana's app."""
    key = second_factor.new_key()
    ana = User.objects.get(username="ana")
    second_factor.enrol(ana, key, code(key, -1), at=timezone.now(), address=None)
    return key


def test_an_account_with_a_second_factor_sends_its_code(key):
    answer = login(codigo=code(key))
    assert answer.status_code == 200
    assert list(answer.json()) == ["token", "token_type", "expires_in"]
    assert login(codigo=code(key)).status_code == 401, "it was used"


def test_a_backup_code_does_too_once(cast):
    key = second_factor.new_key()
    ana = User.objects.get(username="ana")
    backup = second_factor.enrol(ana, key, code(key), at=timezone.now(), address=None)[3]
    assert login(codigo=backup).status_code == 200
    assert login(codigo=backup).status_code == 401


@pytest.mark.parametrize("more", [{}, {"codigo": ""}, {"codigo": None}, {"codigo": "x"}, {"codigo": "wrong"}], ids=str)
def test_a_wrong_code_gets_the_common_answer_and_counts(key, more):
    more = {"codigo": wrong(key)} if more.get("codigo") == "wrong" else more
    for _ in range(5):
        CountingHasher.asked = 0
        answer = login(**more)
        assert (answer.status_code, answer.json()) == (401, REFUSED)
        assert CountingHasher.asked == 1
    answer = login(codigo=code(key))
    assert (answer.status_code, answer.json()) == (429, LOCKED)
    assert login(codigo=code(key), address="192.0.2.9").status_code in (200, 401), "another address is not locked"


def test_a_code_is_not_checked_with_a_wrong_password(key):
    for _ in range(3):
        assert login(password="otra", codigo=wrong(key)).status_code == 401
    assert TOTPDevice.objects.get().throttling_failure_count == 0, "nobody locks the owner out without her password"
    assert login(codigo=code(key)).status_code == 200


def test_wrong_passwords_and_wrong_codes_are_counted_together(key):
    fail(3)
    for _ in range(2):
        assert login(codigo=wrong(key)).status_code == 401
    assert login(codigo=code(key)).status_code == 429


def test_where_it_is_required_an_account_without_one_is_refused_like_a_wrong_password(cast, settings):
    settings.STAFF_TWO_FACTOR = "required"
    for more in ({}, {"codigo": "123456"}):
        answer = login(**more)
        assert (answer.status_code, answer.json()) == (401, REFUSED)
    settings.STAFF_TWO_FACTOR = "optional"
    assert login(codigo="123456").status_code == 200, "there is nothing to hold it against"


def test_a_code_is_in_no_log_either(key, caplog):
    caplog.set_level("DEBUG")
    bad = wrong(key)
    login(codigo=bad)
    rested()
    good = code(key)
    assert login(codigo=good).status_code == 200
    login(password="otra", codigo=bad)
    rows = [*AccessAttempt.objects.values_list(), *ApiRequest.objects.values_list(), *AuditEntry.objects.values_list()]
    stored = " ".join(str(row) for row in rows) + caplog.text
    assert bad not in stored
    assert good not in stored
