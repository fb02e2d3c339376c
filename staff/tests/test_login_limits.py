"""Limits of logins, by the page and by the API: of an address over all names, of a name over all addresses, and of
passwords hashed at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients import hashing
from clients.models import LoginFailures
from clients.rate_limits.redis_client import breaker
from staff import login_delays, second_factor
from staff.login_delays import Failures, wait_after
from staff.tests.authenticator import code, wrong
from tests.factories import StaffUserFactory

pytestmark = pytest.mark.django_db
PASSWORD = "una clave  larga"
HOUR = timedelta(hours=1)


class CountingHasher(MD5PasswordHasher):
    asked = 0

    def encode(self, password, salt):
        type(self).asked += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def ana(settings):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    user = User.objects.create_user("ana", password=PASSWORD, is_staff=True)
    CountingHasher.asked = 0
    return user


def by_api(name, password, address):
    http = Client(REMOTE_ADDR=address, raise_request_exception=False)
    return http.post("/v1/api/auth/login", {"username": name, "password": password}, content_type="application/json")


def by_page(name, password, address):
    http = Client(REMOTE_ADDR=address, raise_request_exception=False)
    return http.post("/admin/login/", {"username": name, "password": password})


EACH_LOGIN = pytest.mark.parametrize("log_in", [by_api, by_page])


def refused(answer, seconds=None):
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 86_400
    if seconds is not None:
        assert abs(int(answer["Retry-After"]) - seconds) <= 2
    if answer["Content-Type"] == "application/json":
        assert answer.json()["code"] == "ERR_RATE_LIMITED"
    else:
        page = answer.content.decode()
        assert "<h1>Demasiados intentos" in page
        assert "Espere " in page
    return True


def logged_in(answer):
    return answer.status_code in (200, 302)


def failed_elsewhere(name, times):
    for _ in range(times):
        login_delays.count_failure(name, at=timezone.now())


# --- an address over all names ---------------------------------------------------------------------------------


@EACH_LOGIN
@pytest.mark.parametrize("away", [False, True])
def test_an_address_tries_so_many_passwords_a_minute_whatever_the_names(log_in, away, settings):
    settings.LOGINS_PER_ADDRESS = 4
    if away:
        breaker.trip(OSError("away"))
    for number in range(4):
        assert log_in(f"nombre{number}", "otra", "192.0.2.1").status_code == 401
    CountingHasher.asked = 0
    for number in range(4, 8):
        assert refused(log_in(f"nombre{number}", "otra", "192.0.2.1"))
    assert refused(log_in("ana", PASSWORD, "192.0.2.1"))
    assert CountingHasher.asked == 0, "before any hash"
    assert logged_in(log_in("ana", PASSWORD, "192.0.2.2"))


def test_the_page_and_the_api_share_the_address_s_count(settings):
    settings.LOGINS_PER_ADDRESS = 2
    assert by_api("uno", "otra", "192.0.2.1").status_code == 401
    assert by_page("dos", "otra", "192.0.2.1").status_code == 401
    assert refused(by_api("tres", "otra", "192.0.2.1"))
    assert refused(by_page("tres", "otra", "192.0.2.1"))


# --- two hashes at once ----------------------------------------------------------------------------------------


@EACH_LOGIN
def test_a_third_hash_at_once_is_refused_at_once(log_in):
    held = [hashing._slots.acquire(blocking=False) for _ in range(hashing.CONCURRENT_HASHES)]
    try:
        assert refused(log_in("ana", PASSWORD, "192.0.2.1"), seconds=hashing.RETRY_AFTER)
        assert CountingHasher.asked == 0
    finally:
        for _ in filter(None, held):
            hashing._slots.release()
    assert logged_in(log_in("ana", PASSWORD, "192.0.2.1"))
    assert not LoginFailures.objects.exists(), "what was not compared was not counted"


@pytest.mark.django_db(transaction=True)
def test_of_many_logins_at_once_two_passwords_are_hashed(monkeypatch):
    running, most, lock, both = 0, 0, threading.Lock(), threading.Event()

    def slow(self, password, salt):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == hashing.CONCURRENT_HASHES:
                both.set()
        both.wait(5)
        threading.Event().wait(0.2)
        with lock:
            running -= 1
        return "md5$x$y"

    monkeypatch.setattr(CountingHasher, "encode", slow)

    def once(number):
        try:
            return by_api(f"nombre{number}", "otra", "192.0.2.1").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(once, range(10)))
    assert most == hashing.CONCURRENT_HASHES
    assert statuses.count(429) >= 6
    assert set(statuses) == {401, 429}


def test_the_limit_of_hashes_holds_for_every_caller_of_the_hasher(settings):
    settings.PASSWORD_HASHERS = ["clients.hashing.BoundedPBKDF2"]
    held = [hashing._slots.acquire(blocking=False) for _ in range(hashing.CONCURRENT_HASHES)]
    try:
        with pytest.raises(hashing.HashesBusy):
            User(username="x").set_password(PASSWORD)
        boss = StaffUserFactory(username="jefa", is_superuser=True)
        http = Client(raise_request_exception=False)
        http.force_login(boss)
        new = {"username": "nueva", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
        assert refused(http.post("/admin/auth/user/add/", new), seconds=1)
        assert refused(http.post("/admin/password_change/", {"old_password": "x"}), seconds=1)
    finally:
        for _ in held:
            hashing._slots.release()
    User(username="x").set_password(PASSWORD)


def test_the_hasher_reads_and_writes_django_s_own_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    user = User(username="x")
    user.set_password(PASSWORD)
    settings.PASSWORD_HASHERS = ["clients.hashing.BoundedPBKDF2"]
    assert user.check_password(PASSWORD)
    assert not user.check_password("otra")


# --- a name over all addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "in_a_row", "minutes"),
    [
        (1, 1, 0),
        (29, 29, 0),
        (30, 30, 1),
        (31, 31, 2),
        (33, 33, 8),
        (35, 35, 32),
        (36, 36, 60),
        (90, 90, 60),
        (5, 99, 0),
        (5, 100, 24 * 60),
        (40, 250, 24 * 60),
    ],
)
def test_the_wait_doubles_to_an_hour_and_after_100_in_a_row_it_is_a_day(today, in_a_row, minutes):
    assert wait_after(Failures(today, in_a_row)) == timedelta(minutes=minutes)


@EACH_LOGIN
@pytest.mark.parametrize("name", ["ana", "nadie"])
def test_beyond_30_failures_a_name_waits_at_addresses_that_never_logged_in(log_in, name):
    for number in range(30):
        assert log_in(name, "otra", f"192.0.2.{number}").status_code == 401
    CountingHasher.asked = 0
    assert refused(log_in(name, PASSWORD, "198.51.100.1"), seconds=60)
    assert refused(log_in(name, "otra", "192.0.2.7"), seconds=60)
    assert CountingHasher.asked == 0
    LoginFailures.objects.update(last_at=timezone.now() - timedelta(seconds=61))
    assert log_in(name, "otra", "198.51.100.2").status_code == 401
    assert refused(log_in(name, PASSWORD, "198.51.100.1"), seconds=120)


@EACH_LOGIN
def test_an_address_that_logged_in_before_does_not_wait(log_in):
    assert logged_in(log_in("ana", PASSWORD, "192.0.2.1"))
    failed_elsewhere("ana", 40)
    assert refused(log_in("ana", PASSWORD, "192.0.2.2"))
    assert logged_in(log_in("ana", PASSWORD, "192.0.2.1"))
    failed_elsewhere("luis", 40)
    assert refused(log_in("luis", PASSWORD, "192.0.2.1")), "it is known for ana only"


def test_after_a_day_the_count_of_today_begins_anew_and_that_in_a_row_goes_on():
    failed_elsewhere("ana", 40)
    LoginFailures.objects.update(
        day_began_at=timezone.now() - timedelta(hours=24), last_at=timezone.now() - timedelta(hours=3)
    )
    assert by_api("ana", "otra", "192.0.2.3").status_code == 401
    row = LoginFailures.objects.get()
    assert (row.today, row.in_a_row) == (1, 41)
    assert logged_in(by_api("ana", PASSWORD, "192.0.2.3"))
    row.refresh_from_db()
    assert (row.today, row.in_a_row) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_when_a_wait_is_over_one_of_many_gets_the_try():
    failed_elsewhere("ana", 36)
    LoginFailures.objects.update(last_at=timezone.now() - HOUR - timedelta(seconds=1))

    class Request:
        META = {"REMOTE_ADDR": "192.0.2.9"}

    def once(_):
        try:
            return login_delays.claim_try(Request, "ana", at=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(once, range(8)))
    assert waits.count(0) == 1
    assert all(3500 <= each <= 3600 for each in waits if each)


def test_the_alarm_names_the_attacked_account_and_nothing_that_may_be_a_password(caplog):
    failed_elsewhere("ana", 30)
    failed_elsewhere("mi-clave-secreta", 31)
    said = [each for each in caplog.records if "somebody may be guessing" in each.message]
    assert [each.user for each in said] == ["ana", "(nobody's)"]
    assert "mi-clave-secreta" not in caplog.text
    assert not LoginFailures.objects.filter(name__contains="ana").exists()


@EACH_LOGIN
def test_unknown_names_cost_the_same_statements(log_in):
    spent = []
    for name in ("ana", "nadie"):
        with CaptureQueriesContext(connection) as queries:
            log_in(name, "otra", "192.0.2.1")
        spent.append(len(queries))
    assert spent[0] == spent[1]


def test_a_wrong_old_password_counts_as_a_failed_login(ana):
    http = Client(REMOTE_ADDR="192.0.2.5", raise_request_exception=False)
    http.force_login(ana)
    new = {"new_password1": "otra clave muy larga", "new_password2": "otra clave muy larga"}
    answers = [http.post("/admin/password_change/", {"old_password": f"x{each}", **new}) for each in range(6)]
    assert [each.status_code for each in answers[:4]] == [200] * 4
    assert refused(answers[4])
    assert answers[5].status_code == 302, "and the session is over"
    assert LoginFailures.objects.get().today == 5


@pytest.mark.parametrize("path", ["/cuenta/codigo/", "/cuenta/codigo/respaldo/", "/cuenta/segundo-factor/quitar/"])
def test_a_second_factor_code_counts_as_a_try_of_the_address(path, ana, settings):
    key = second_factor.new_key()
    second_factor.enrol(ana, key, code(key, -1), at=timezone.now(), address=None)
    settings.LOGINS_PER_ADDRESS = 3
    http = Client(REMOTE_ADDR="192.0.2.1", raise_request_exception=False)
    assert http.post("/admin/login/", {"username": "ana", "password": PASSWORD}).status_code == 302
    if path.endswith("quitar/"):
        assert http.post("/cuenta/codigo/", {"codigo": code(key)}).status_code == 302
    else:
        assert http.post(path, {"codigo": wrong(key)}).status_code == 401
    assert http.post(path, {"codigo": "x"}).status_code in (200, 401)
    assert refused(http.post(path, {"codigo": code(key)}))
    if path.endswith("quitar/"):
        assert http.get("/cuenta/").status_code == 200, "the session stays"
