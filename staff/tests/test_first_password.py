"""First password: one that somebody else has typed opens nothing but the page on which it is changed."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from staff.models import FirstPassword
from tests.factories import superuser_browser

pytestmark = pytest.mark.django_db
FIRST, OWN = "una clave larga 99", "la mia de verdad 77"
PAGE = "/admin/password_change/"


@pytest.fixture
def boss(db):
    return superuser_browser()


@pytest.fixture
def eva(boss):
    form = {"username": "eva", "password1": FIRST, "password2": FIRST, "usable_password": "true"}
    boss.post("/admin/auth/user/add/", form)
    User.objects.filter(username="eva").update(is_staff=True, is_superuser=True)
    return User.objects.get(username="eva")


def entered(password=FIRST):
    http = Client()
    assert http.post("/admin/login/", {"username": "eva", "password": password}).status_code == 302
    return http


def change(http, old=FIRST, new=OWN):
    return http.post(PAGE, {"old_password": old, "new_password1": new, "new_password2": new})


def test_a_first_password_opens_only_its_change(eva):
    http = entered()
    for path in ("/admin/", "/soporte/", "/cuenta/", "/admin/auth/user/", "/admin/tablero/"):
        assert http.get(path)["Location"] == PAGE, path
        assert http.post(path)["Location"] == PAGE, path
    page = http.get(PAGE)
    assert page.status_code == 200
    assert "la escribió otra persona" in page.content.decode()
    assert http.get("/admin/", headers={"Aval-Poll": "1", "Sec-Fetch-Mode": "cors"}).status_code == 403


def test_after_its_change_everything_is_open_and_the_session_goes_on(eva):
    http = entered()
    assert change(http).status_code == 302
    assert http.get("/admin/").status_code == 200
    assert entered(OWN).get("/admin/").status_code == 200
    assert not FirstPassword.objects.exists()


def test_the_same_password_again_is_no_change(eva):
    http = entered()
    assert (
        "es la misma que la anterior"
        in http.post(
            PAGE, {"old_password": FIRST, "new_password1": FIRST, "new_password2": FIRST}, follow=True
        ).content.decode()
    )
    assert http.get("/admin/")["Location"] == PAGE


def test_the_hint_says_what_a_password_needs_and_finds_no_fault_before_one_is_typed(eva):
    page = entered().get(PAGE).content.decode()
    assert "Debe tener al menos 10 caracteres." in page
    assert "muy corta" not in page


def test_a_wrong_old_password_changes_nothing(eva):
    http = entered()
    assert change(http, old="otra cosa 123").status_code == 200
    assert http.get("/admin/")["Location"] == PAGE


def test_a_password_that_a_colleague_sets_anew_must_be_changed_again(boss, eva):
    change(entered())
    form = {"password1": FIRST, "password2": FIRST, "usable_password": "true"}
    boss.post(f"/admin/auth/user/{eva.pk}/password/", form)
    assert entered().get("/soporte/")["Location"] == PAGE
    assert "debe cambiarla al ingresar" in boss.get(f"/admin/auth/user/{eva.pk}/change/").content.decode()


def test_one_s_own_password_set_on_the_page_of_users_need_not_be_changed(boss):
    me = User.objects.get(is_superuser=True)
    form = {"password1": OWN, "password2": OWN, "usable_password": "true"}
    boss.post(f"/admin/auth/user/{me.pk}/password/", form)
    assert not FirstPassword.objects.exists()


def test_a_first_password_opens_no_api_either(eva):
    body = {"username": "eva", "password": FIRST}
    login = "/v1/api/auth/login"
    assert Client().post(login, body, content_type="application/json").status_code == 401
    change(entered())
    answer = Client().post(login, {**body, "password": OWN}, content_type="application/json")
    assert answer.status_code == 200, answer.content


def test_who_is_made_without_a_password_has_none_to_change(boss):
    boss.post("/admin/auth/user/add/", {"username": "leo", "usable_password": "false"})
    assert User.objects.filter(username="leo").exists()
    assert not FirstPassword.objects.exists()
