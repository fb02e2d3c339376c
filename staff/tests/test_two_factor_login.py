"""Login of staff step by step: password, code, enrolment, backup codes, and a lost phone."""

import re
from base64 import b32decode
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from clients.models import AuditEntry
from staff import second_factor
from staff.tests.authenticator import code, rested, wrong

pytestmark = pytest.mark.django_db
PASSWORD = "una clave  larga"


@pytest.fixture
def eva():
    user = User.objects.create_user("eva", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="Operaciones"))
    return user


@pytest.fixture
def key(eva):
    key = second_factor.new_key()
    second_factor.enrol(eva, key, code(key, -1), at=timezone.now(), address=None)
    return key


def browser(address="192.0.2.7"):
    return Client(REMOTE_ADDR=address, enforce_csrf_checks=False)


def give_password(http, password=PASSWORD, name="eva", **more):
    return http.post("/admin/login/", {"username": name, "password": password, **more})


def give_code(http, typed, path="/cuenta/codigo/", **more):
    return http.post(path, {"codigo": typed, **more})


def key_on(page):
    """Key of an enrolment page, in hexadecimal as an app stores it."""
    return b32decode(re.search(r'class="secret">([A-Z2-7 ]+)<', page)[1].replace(" ", "")).hex()


def text(answer):
    return answer.content.decode()


def test_a_login_takes_a_password_and_then_a_code(eva, key):
    http = browser()
    answer = give_password(http, next="/soporte/?q=1")
    assert answer["Location"] == "/cuenta/codigo/?next=%2Fsoporte%2F%3Fq%3D1"
    assert "_auth_user_id" not in http.session, "a password alone logs nobody in"
    eva.refresh_from_db()
    assert eva.last_login is None
    page = text(http.get(answer["Location"]))
    for words in ('autocomplete="one-time-code"', 'inputmode="numeric"', 'value="/soporte/?q=1"'):
        assert words in page
    between = http.session.session_key
    answer = give_code(http, code(key), next="/soporte/?q=1")
    assert answer["Location"] == "/soporte/?q=1"
    assert http.session.session_key != between, "whoever knew the session before does not know it now"
    assert http.get("/soporte/").status_code == 200
    eva.refresh_from_db()
    assert eva.last_login is not None


def test_without_a_second_factor_the_password_is_enough_where_it_is_optional(eva):
    http = browser()
    http.get("/admin/login/")
    assert give_password(http)["Location"] == "/admin/"
    assert http.get("/admin/").status_code == 200


def test_where_it_is_required_it_is_enrolled_right_after_the_password(eva, settings):
    settings.STAFF_TWO_FACTOR = "required"
    http = browser()
    answer = http.post("/admin/login/", {"username": "eva", "password": PASSWORD}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/cuenta/segundo-factor/?next=")
    page = text(answer)
    assert "Esta instalación lo exige" in page
    assert "<svg" in page
    key = key_on(page)
    link = re.search(r'href="(otpauth:[^"]+)"', page)[1].replace("&amp;", "&")
    secret = parse_qs(urlsplit(link).query)["secret"][0]
    assert b32decode(secret).hex() == key, "for an app on the same telephone, whose screen it cannot scan"
    answer = give_code(http, wrong(key), "/cuenta/segundo-factor/")
    assert answer.status_code == 401
    assert key_on(text(answer)) == key, "the app holds it already"
    answer = give_code(http, code(key), "/cuenta/segundo-factor/", next="/soporte/")
    codes = re.findall(r"<code>(\w{5}-\w{5})</code>", text(answer))
    assert len(set(codes)) == 10
    assert "No se volverán a mostrar" in text(answer)
    assert 'href="/soporte/"' in text(answer)
    assert http.get("/soporte/").status_code == 200
    assert not re.findall(r"<code>\w{5}-", text(http.get("/cuenta/", follow=True)))
    assert give_code(other := browser(), codes[0], "/cuenta/codigo/respaldo/").status_code == 302
    assert "_auth_user_id" not in other.session, "a code without a password"


def test_each_enrolment_shows_a_new_key(eva):
    seen = []
    for http in (browser(), browser()):
        give_password(http)
        seen.append(key_on(text(http.get("/cuenta/segundo-factor/"))))
    assert seen[0] != seen[1]


def test_a_backup_code_serves_in_place_of_the_app(eva):
    key = second_factor.new_key()
    backup = second_factor.enrol(eva, key, code(key), at=timezone.now(), address=None)[0]
    http = browser()
    give_password(http)
    assert 'autocomplete="off"' in text(http.get("/cuenta/codigo/respaldo/"))
    assert give_code(http, backup, "/cuenta/codigo/respaldo/")["Location"] == "/admin/"
    assert http.get("/admin/").status_code == 200
    again = browser()
    give_password(again)
    assert give_code(again, backup, "/cuenta/codigo/respaldo/").status_code == 401
    assert "Le quedan 9 códigos de respaldo." in text(http.get("/cuenta/"))


def test_a_wrong_code_is_told_and_the_next_must_wait(eva, key):
    http = browser()
    give_password(http)
    answer = give_code(http, wrong(key))
    assert answer.status_code == 401
    assert "El código no es correcto, ya se usó o ya venció." in text(answer)
    assert "Espere 1 segundo" in text(give_code(http, code(key)))
    rested()
    assert give_code(http, code(key)).status_code == 302
    assert AuditEntry.objects.filter(action="second_factor.failed", actor="eva", address="192.0.2.7").count() == 1


def test_five_wrong_codes_lock_like_five_wrong_passwords_and_the_login_begins_anew(eva, key):
    http = browser()
    give_password(http)
    for _ in range(4):
        assert give_code(http, wrong(key)).status_code == 401
        rested()
    answer = give_code(http, wrong(key))
    assert answer.status_code == 429
    assert "Demasiados intentos fallidos" in text(answer)
    assert "Espere 15 minutos" in text(answer)
    assert 0 < int(answer["Retry-After"]) <= 900
    rested()
    assert give_code(http, code(key))["Location"].startswith("/admin/login/"), "the password again"
    assert give_password(http).status_code == 429
    assert give_password(browser("192.0.2.99")).status_code == 302, "from elsewhere the name is not locked"
    assert give_password(http, name="otra").status_code == 401, "nor is another name from here"
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert give_password(http)["Location"].startswith("/cuenta/codigo/")


def test_a_right_password_does_not_make_wrong_codes_forgotten(eva, key):
    for _ in range(2):
        http = browser()
        give_password(http)
        for _ in range(2):
            assert give_code(http, wrong(key)).status_code == 401
            rested()
    give_password(http)
    assert give_code(http, wrong(key)).status_code == 429


def test_five_wrong_passwords_are_told_in_spanish(eva):
    http = browser()
    for _ in range(4):
        answer = give_password(http, "otra")
        assert answer.status_code == 401
        assert "Usuario o contraseña incorrectos." in text(answer)
    for _ in range(2):
        answer = give_password(http, "otra")
        assert answer.status_code == 429
        assert "Demasiados intentos fallidos" in text(answer)
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert int(answer["Retry-After"]) > 0


@pytest.mark.parametrize("name", ["nadie", "cliente", "inactiva"])
def test_a_refusal_does_not_tell_which_accounts_exist(eva, name):
    User.objects.create_user("cliente", password=PASSWORD)
    User.objects.create_user("inactiva", password=PASSWORD, is_staff=True, is_active=False)
    http = browser()
    statuses = [give_password(http, name=name).status_code for _ in range(6)]
    assert statuses == [401] * 4 + [429] * 2


def test_a_code_is_asked_for_five_minutes(eva, key):
    http = browser()
    give_password(http)
    session = http.session
    session["staff_password_given"] = {**session["staff_password_given"], "at": timezone.now().timestamp() - 301}
    session.save()
    answer = give_code(http, code(key))
    assert answer["Location"].startswith("/admin/login/?motivo=demora")
    assert "Pasaron más de 5 minutos" in text(http.get(answer["Location"]))
    assert "_auth_user_id" not in http.session


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, {"password": "x"}], ids=str)
def test_between_password_and_code_the_account_must_stay_what_it_was(eva, key, change):
    http = browser()
    give_password(http)
    User.objects.filter(pk=eva.pk).update(**change)
    assert give_code(http, code(key))["Location"].startswith("/admin/login/")
    assert "_auth_user_id" not in http.session


def test_a_session_of_before_the_enrolment_must_give_a_code_too(eva):
    old = browser()
    give_password(old)
    assert old.get("/soporte/").status_code == 200
    key = second_factor.new_key()
    second_factor.enrol(eva, key, code(key, -1), at=timezone.now(), address=None)
    assert old.get("/soporte/")["Location"] == "/cuenta/codigo/?next=%2Fsoporte%2F"
    assert give_code(old, code(key), next="/soporte/")["Location"] == "/soporte/"
    assert old.get("/soporte/").status_code == 200


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "\\\\x"])
def test_a_login_never_redirects_to_another_site(eva, key, to):
    http = browser()
    assert "elsewhere" not in give_password(http, next=to)["Location"]
    assert give_code(http, code(key), next=to)["Location"] == "/admin/"


def inside(eva, key):
    http = browser()
    give_password(http)
    assert give_code(http, code(key)).status_code == 302
    return http


def test_renewing_the_backup_codes_takes_a_code(eva, key):
    http = inside(eva, key)
    assert give_code(http, wrong(key), "/cuenta/segundo-factor/codigos/").status_code == 401
    rested()
    answer = give_code(http, code(key, 1), "/cuenta/segundo-factor/codigos/")
    assert len(re.findall(r"<code>(\w{5}-\w{5})</code>", text(answer))) == 10
    assert "Los anteriores ya no sirven" in text(answer)
    assert http.get("/admin/").status_code == 200, "the session goes on"


def test_removing_the_second_factor_takes_a_code_and_ends_the_other_sessions(eva, key, settings):
    http, other = inside(eva, key), browser()
    rested()
    give_password(other)
    assert give_code(other, code(key, 1)).status_code == 302
    backup = second_factor._new_backup_codes(eva)[0]
    settings.STAFF_TWO_FACTOR = "required"
    answer = give_code(http, backup, "/cuenta/segundo-factor/quitar/")
    assert answer["Location"] == "/cuenta/segundo-factor/"
    assert http.get("/admin/")["Location"].startswith("/cuenta/segundo-factor/")
    answer = other.get("/soporte/")
    assert answer["Location"] == "/admin/login/?next=/soporte/&motivo=factor"
    assert "el segundo factor con que ingresó ya no vale" in text(other.get(answer["Location"]))


def test_five_wrong_codes_inside_end_the_session(eva, key):
    http = inside(eva, key)
    statuses = []
    for _ in range(5):
        statuses.append(give_code(http, wrong(key), "/cuenta/segundo-factor/quitar/").status_code)
        rested()
    assert statuses == [401] * 4 + [429]
    assert http.get("/admin/")["Location"].startswith("/admin/login/")


def test_an_administrator_resets_a_colleague_s_for_a_reason(eva, key):
    ada = User.objects.create_user("ada", password=PASSWORD, is_staff=True, is_superuser=True)
    lost, http = inside(eva, key), browser()
    http.force_login(ada)
    path = f"/cuenta/segundo-factor/restablecer/{eva.pk}/"
    assert "Restablecer el segundo factor de eva" in text(http.get(path))
    for reason in ("", "  ", "x"):
        assert "Escriba un motivo." in text(http.post(path, {"motivo": reason}))
    assert second_factor.device_of(eva) is not None
    answer = http.post(path, {"motivo": "perdió el celular"}, follow=True)
    assert "Se restableció el segundo factor de eva." in text(answer)
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.actor, entry.reason, entry.address) == (
        "second_factor.reset",
        "ada",
        "perdió el celular",
        "192.0.2.7",
    )
    assert lost.get("/admin/")["Location"].startswith("/admin/login/")
    assert http.get("/cuenta/segundo-factor/restablecer/999999/").status_code == 404


def test_nobody_resets_a_second_factor_without_the_permission(eva, key):
    http = browser()
    http.force_login(User.objects.create_user("leo", is_staff=True))
    for send in (http.get, http.post):
        assert send(f"/cuenta/segundo-factor/restablecer/{eva.pk}/", {"motivo": "porque sí"}).status_code == 403
    assert second_factor.device_of(eva) is not None
    own = inside(eva, key)
    User.objects.filter(pk=eva.pk).update(is_superuser=True)
    answer = own.post(f"/cuenta/segundo-factor/restablecer/{eva.pk}/", {"motivo": "porque sí"})
    assert answer.status_code == 403
    assert "Su propio segundo factor se quita en" in text(answer)


def test_every_form_needs_its_csrf_token(eva, key):
    http = Client(enforce_csrf_checks=True)
    http.force_login(eva)
    for path in ("/admin/login/", "/cuenta/codigo/", "/cuenta/codigo/respaldo/"):
        assert http.post(path, {"codigo": code(key), "username": "eva", "password": PASSWORD}).status_code == 403


def test_a_typed_code_is_stored_nowhere(eva, key, caplog):
    caplog.set_level("DEBUG")
    http = browser()
    give_password(http, "clave-errada-77")
    give_password(http)
    bad = wrong(key)
    give_code(http, bad)
    kept = " ".join(str(row) for row in AccessAttempt.objects.values_list()) + caplog.text
    assert "clave-errada-77" not in kept
    assert bad not in kept


def test_pages_are_spanish_and_run_no_scripts(eva, key):
    http, anonymous = inside(eva, key), browser()
    paths = ["/cuenta/", "/cuenta/segundo-factor/codigos/", "/cuenta/segundo-factor/quitar/"]
    waiting = browser()
    give_password(waiting)
    answers = [http.get(each) for each in paths]
    answers += [anonymous.get("/admin/login/"), waiting.get("/cuenta/codigo/"), waiting.get("/cuenta/codigo/respaldo/")]
    for answer in answers:
        assert answer.status_code == 200
        page = text(answer)
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "script-src" not in answer["Content-Security-Policy"]
        assert '<html lang="es-PE">' in page
        assert "<script" not in page
        assert "style=" not in page
        assert "http://" not in page.replace("http://www.w3.org", "")
