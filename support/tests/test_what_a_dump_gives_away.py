"""Secrets in a copy of the database: no session, second factor or backup code can be used, and no answer with a secret
can be read."""

import base64
import re
from datetime import timedelta

import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from clients import sealing
from clients.authenticators import Authenticator
from external_api.frontdoor import idempotency
from external_api.models import IdempotentAnswer
from external_api.retention import erase_answers
from staff import second_factor
from staff.session_store import SessionStore, row_of
from staff.tests.authenticator import code, rested
from support.tests.cast import everything
from tests.factories import PartnerFactory

pytestmark = pytest.mark.django_db

PASSWORD = "una clave larga de prueba"
CLIENT = {"codigo_externo": "1", "perfil": "V", "correo": "a@b.pe"}
SECRET = "avl_live_0123456789abcdefghij"


@pytest.fixture
def boss(db):
    return User.objects.create_superuser("jefa", password=PASSWORD)


def logged_in(user):
    http = Client(raise_request_exception=False)
    http.force_login(user)
    assert http.get("/admin/").status_code == 200
    return http


def enrolled(user):
    """Enrol a second factor; return its key and its backup codes."""
    key = second_factor.new_key()
    at = timezone.now()
    return key, second_factor.enrol(user, key, code(key), at=at, address=None)


def dump():
    """Return every value of all tables as text: bytes in hexadecimal and in Latin-1, as a cookie carries them."""
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                for value in row:
                    if isinstance(value, (bytes, memoryview)):
                        found |= {bytes(value).hex(), bytes(value).decode("latin-1")}
                    elif value is not None:
                        found.add(str(value))
    return {each for each in found if each}


def pieces(values):
    """The values, and the words in them: a key may be part of a JSON text."""
    return values | {word for each in values for word in re.findall(r"[\w+/=-]{4,}", each)}


def test_no_value_of_a_dump_is_a_session(boss):
    everything("dato", [1])
    cookies = {logged_in(boss).cookies["aval_session"].value for _ in range(3)}
    assert Session.objects.count() >= 3
    values = pieces(dump())
    assert not cookies & values
    for value in (each for each in values if 16 <= len(each) <= 128):  # a key has 32 characters
        http = Client(raise_request_exception=False)
        http.cookies["aval_session"] = value
        assert http.get("/admin/").status_code == 302, value


def test_a_session_row_of_an_older_version_opens_nothing(boss):
    key = "k" * 32
    store = SessionStore()
    http = logged_in(boss)
    data = Session.objects.get(session_key=row_of(http.cookies["aval_session"].value)).session_data
    Session.objects.create(session_key=key, session_data=data, expire_date=timezone.now() + timedelta(hours=1))
    assert not store.exists(key)
    other = Client(raise_request_exception=False)
    other.cookies["aval_session"] = key
    assert other.get("/admin/").status_code == 302


def test_what_a_session_holds_cannot_be_read(boss):
    http = logged_in(boss)
    http.get("/cuenta/segundo-factor/")
    key = http.session["staff_enrolling"]
    assert key not in "".join(dump())
    for row in Session.objects.all():
        assert sealing.is_sealed(row.session_data)
        assert "_auth_user" not in row.session_data


def test_a_session_still_ends_and_changes_its_key(boss):
    http = logged_in(boss)
    cookie = http.cookies["aval_session"].value
    http.post("/admin/logout/")
    assert not Session.objects.filter(session_key=row_of(cookie)).exists()
    store = SessionStore()
    store["x"] = 1
    store.create()
    before = store.session_key
    store.cycle_key()
    assert (store.exists(before), store.exists(store.session_key)) == (False, True)
    assert SessionStore(store.session_key)["x"] == 1
    store.flush()
    assert not SessionStore(store.session_key).exists(before)


def keys_in(values):
    """Decode each value that could be the key of an authenticator app."""
    for value in values:
        for decode in (bytes.fromhex, base64.b32decode, lambda text: base64.urlsafe_b64decode(text + "==")):
            try:
                key = decode(value)
            except ValueError:
                continue
            if 10 <= len(key) <= 64:
                yield key.hex()


def test_a_dump_makes_no_code_and_has_no_backup_code(boss):
    key, backup = enrolled(boss)
    values = pieces(dump())
    assert key not in keys_in(values)
    assert code(key, 1) not in {code(each, 1) for each in keys_in(values)}
    for value in values:
        assert value not in backup
        assert value.replace("-", "") not in [each.replace("-", "") for each in backup]
    for kept in StaticToken.objects.values_list("token", flat=True):
        with pytest.raises(second_factor.CodeRefused):
            second_factor.check(boss, kept, at=timezone.now(), address=None)
        rested()


def test_a_sealed_key_still_verifies_codes(boss):
    key, backup = enrolled(boss)
    at = timezone.now()
    assert second_factor.check(boss, code(key, 1), at=at, address=None).user_id == boss.pk
    second_factor.check(boss, backup[0], at=at, address=None)
    with pytest.raises(second_factor.CodeRefused):
        second_factor.check(boss, backup[0], at=at, address=None)


def test_a_plain_key_of_an_older_version_works_and_is_sealed_when_used(boss):
    key, _ = enrolled(boss)
    TOTPDevice.objects.update(key=key, last_t=-1)
    second_factor.check(boss, code(key, 1), at=timezone.now(), address=None)
    assert sealing.is_sealed(TOTPDevice.objects.get().key)


def test_the_migration_seals_the_keys_that_are_stored(boss):
    from importlib import import_module

    from django.apps import apps

    key, _ = enrolled(boss)
    TOTPDevice.objects.update(key=key)
    import_module("clients.migrations.0009_sealed_authenticators").seal_keys(apps, None)
    assert key not in TOTPDevice.objects.get().key
    assert Authenticator.objects.get().plain_key == key


def changed_secret(settings, *, kept=True):
    former = {"key": site.SECRET_KEY, "seals": dict(site.SEALING_KEYS), "codes": list(site.BACKUP_CODE_KEYS)}
    settings.SECRET_KEY = "another secret of more than thirty-two characters"
    settings.SECRET_KEY_FALLBACKS = [former["key"]] if kept else []
    settings.SEALING_KEYS = {name: [b"n" * 32, *(keys if kept else [])] for name, keys in former["seals"].items()}
    settings.BACKUP_CODE_KEYS = [b"n" * 32, *(former["codes"] if kept else [])]


def test_a_former_secret_key_still_opens_and_a_use_seals_with_the_new_one(boss, settings):
    key, backup = enrolled(boss)
    changed_secret(settings)
    second_factor.check(boss, code(key, 1), at=timezone.now(), address=None)
    second_factor.check(boss, backup[0], at=timezone.now(), address=None)
    settings.SEALING_KEYS = {name: keys[:1] for name, keys in settings.SEALING_KEYS.items()}
    assert Authenticator.objects.get().plain_key == key


def test_a_lost_secret_key_opens_nothing_and_is_no_server_error(boss, settings):
    key, backup = enrolled(boss)
    changed_secret(settings, kept=False)
    for typed in (code(key, 1), backup[0]):
        with pytest.raises(second_factor.CodeRefused):
            second_factor.check(boss, typed, at=timezone.now(), address=None)
        rested()
    assert second_factor.reset(boss, by="x", reason="x", at=timezone.now())


def test_backup_codes_of_the_first_version_still_work(boss):
    _, backup = enrolled(boss)
    plain = backup[0].replace("-", "")
    StaticToken.objects.all().delete()
    paper = boss.staticdevice_set.get()
    paper.token_set.create(token=second_factor._hashed_before_1(boss, plain, site.SECRET_KEY))
    second_factor.check(boss, backup[0], at=timezone.now(), address=None)


def test_a_key_that_is_moved_to_another_account_opens_nothing(boss):
    enrolled(boss)
    Authenticator.objects.filter(user=boss).update(user=User.objects.create_user("eva", is_staff=True))
    with pytest.raises(sealing.CannotUnseal):
        Authenticator.objects.get().bin_key  # noqa: B018  reading it decrypts


def answered(partner, key, *, shows_secret):
    at = timezone.now()
    row = idempotency.begin(partner, "nopasanada", key, asked=b"x", at=at)
    idempotency.finish(row, status=201, body=b'{"secret":"%s"}' % SECRET.encode(), shows_secret=shows_secret)
    return idempotency.begin(partner, "nopasanada", key, asked=b"x", at=at)


def test_a_kept_answer_with_a_secret_is_sealed_and_repeated(db):
    partner = PartnerFactory(name="Uno")
    kept = answered(partner, "a", shows_secret=True)
    assert (kept.status, kept.body) == (201, b'{"secret":"%s"}' % SECRET.encode())
    assert SECRET not in "".join(dump())
    assert answered(partner, "b", shows_secret=False).body == kept.body


def test_a_view_says_that_its_answer_shows_a_secret(nopasanada, monkeypatch):
    from external_api.nopasanada.views import RequestView

    monkeypatch.setattr(RequestView, "answer_shows_secret", True)
    body = {
        "usuario": "u",
        "solicitud": "alta",
        "clientes": [{"codigo_externo": "1", "perfil": "V", "correo": "a@b.pe"}],
    }
    headers = {**nopasanada.headers, "Idempotency-Key": "k"}
    answers = [Client().post("/api/v1", body, content_type="application/json", headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotency-Replayed"] == "true"
    assert bytes(IdempotentAnswer.objects.get().body).startswith(idempotency.SEAL_MARK)


def test_a_kept_answer_that_cannot_be_opened_is_neither_repeated_nor_done_again(db, settings):
    from external_api.frontdoor.errors import IdempotencyConflict

    partner = PartnerFactory(name="Uno")
    answered(partner, "a", shows_secret=True)
    changed_secret(settings, kept=False)
    with pytest.raises(IdempotencyConflict):
        idempotency.begin(partner, "nopasanada", "a", asked=b"x", at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_an_erasure_deletes_sealed_answers():
    partner = PartnerFactory(name="Uno")
    answered(partner, "a", shows_secret=True)
    answered(partner, "b", shows_secret=False)
    assert erase_answers(["ana@correo.example"], [partner.pk]) == 1
    assert IdempotentAnswer.objects.get().key == "b"


def test_a_malformed_cookie_is_no_server_error():
    for name in ("aval_session", "csrftoken", "messages"):
        http = Client(raise_request_exception=False)
        for value in ('"\\000\\000abcdefghij"', '"\\355\\240\\200abcdefgh"', "x" * 4000):
            answer = http.get("/admin/", headers={"Cookie": f"{name}={value}"})
            assert answer.status_code in (200, 302), (name, value[:20], answer.status_code)
