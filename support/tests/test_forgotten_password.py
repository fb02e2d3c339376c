"""Password by mail: the same answer for every name, a link that works once, and a second factor that stays."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from clients.models import AuditEntry
from messaging import staff_mail, unqueued_mail
from messaging.gateways.base import GatewayError, OutcomeUnknown
from messaging.models import Message, SandboxMessage
from staff import passwords
from staff.models import FirstPassword, ResetRequest
from tests.gateways import FakeGateway

pytestmark = pytest.mark.django_db
ASK = "/ingreso/olvido/"
OLD, NEW = "la clave vieja de eva", "otra clave larga 77"


@pytest.fixture
def eva(db):
    return User.objects.create_user("eva", "eva@dominio.com", OLD, is_staff=True)


def ask(name, **more):
    return Client(**more).post(ASK, {"username": name})


def mailed(name="eva"):
    """Path of the link in the mail that the name gets."""
    ask(name)
    staff_mail.send_reset_links(at=timezone.now())
    text = SandboxMessage.objects.latest("id").text
    return re.search(r"http://[^/]+(/ingreso/clave/\S+/)", text)[1]


def write(path, password=NEW, again=None, http=None):
    return (http or Client()).post(path, {"new_password1": password, "new_password2": again or password})


def log_in(password):
    return Client().post("/admin/login/", {"username": "eva", "password": password})


def test_a_link_by_mail_sets_a_new_password_and_ends_the_sessions(eva):
    open_session = Client()
    open_session.force_login(eva)
    path = mailed()
    assert Client().get(path).status_code == 200
    answer = write(path)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?motivo=clave")
    assert "Su contraseña cambió" in Client().get(answer["Location"]).content.decode()
    assert log_in(OLD).status_code == 401
    assert log_in(NEW).status_code == 302
    assert open_session.get("/cuenta/").status_code == 302, "their session has ended"
    done = list(AuditEntry.objects.filter(action__startswith="user.").order_by("id").values_list("action", "actor"))
    assert done == [("user.reset_asked", "eva"), ("user.password_reset", "eva")]


def test_a_link_works_once_and_looking_at_it_uses_nothing(eva):
    path = mailed()
    for _ in range(3):
        assert Client().get(path).status_code == 200
    assert write(path).status_code == 302
    assert write(path, "y otra clave larga 88").status_code == 410
    assert Client().get(path).status_code == 410
    assert log_in(NEW).status_code == 302


def test_a_link_ends_after_an_hour_and_with_an_older_change(eva, monkeypatch):
    path = mailed()
    later = timezone.now().replace(tzinfo=None) + timedelta(minutes=61)
    with monkeypatch.context() as clock:
        clock.setattr("django.contrib.auth.tokens.PasswordResetTokenGenerator._now", lambda self: later)
        assert Client().get(path).status_code == 410
    eva.set_password("cambiada mientras tanto 1")
    eva.save()
    assert write(path).status_code == 410


NONES = [
    "/ingreso/clave/x/y/",
    "/ingreso/clave/MQ/abc-def/",
    f"/ingreso/clave/{'OTk5' * 8}/x-y/",
    "/ingreso/clave/__8/x/",
]


@pytest.mark.parametrize("path", NONES)
def test_a_link_that_is_none_is_refused(eva, path):
    assert Client().get(path).status_code in (404, 410)
    assert write(path).status_code in (404, 410)
    assert log_in(OLD).status_code == 302


def test_the_answer_is_the_same_for_every_name(eva):
    User.objects.create_user("sin-correo", password=OLD, is_staff=True)
    User.objects.create_user("cliente", "c@dominio.com", OLD)
    User.objects.create_user("antes", "a@dominio.com", OLD, is_staff=True, is_active=False)
    User.objects.create_user("sin-clave", "s@dominio.com", None, is_staff=True)
    names = ["eva", "nadie", "sin-correo", "cliente", "antes", "sin-clave", "<b>", "x" * 150]
    answers = {ask(name).content for name in names}
    assert len(answers) == 1
    assert ResetRequest.objects.count() == len(names), "the same row is written for all"
    assert staff_mail.send_reset_links(at=timezone.now()) == 1
    assert [each.to for each in SandboxMessage.objects.all()] == ["eva@dominio.com"]
    assert AuditEntry.objects.filter(action="user.reset_asked").count() == 1


def test_asking_takes_as_many_statements_for_a_name_that_is_nobody_s(eva, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for name in ("eva", "nadie"):
        with CaptureQueriesContext(connection) as found:
            ask(name)
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_one_name_gets_three_mails_an_hour_and_the_answer_does_not_tell(eva):
    answers = {ask("eva").content for _ in range(passwords.MAILS_PER_HOUR + 3)}
    assert len(answers) == 1
    assert ResetRequest.objects.count() == passwords.MAILS_PER_HOUR
    assert staff_mail.send_reset_links(at=timezone.now()) == 1, "and those that wait are one mail"


def test_one_address_asks_so_often_and_no_more(eva, settings):
    settings.LOGINS_PER_ADDRESS = 2
    statuses = [ask(name, REMOTE_ADDR="192.0.2.9").status_code for name in ("a", "b", "c")]
    assert statuses == [200, 200, 429]
    assert Client(REMOTE_ADDR="192.0.2.9").get("/ingreso/clave/MQ/x-y/").status_code == 429


def test_the_second_factor_stays_and_is_asked_for(eva):
    from clients.authenticators import Authenticator

    Authenticator.objects.create(user=eva, name="app", key="a" * 40, confirmed=True)
    write(mailed())
    assert Authenticator.objects.filter(user=eva).count() == 1
    answer = log_in(NEW)
    assert answer["Location"].startswith("/cuenta/codigo/")


@pytest.mark.parametrize(
    ("password", "again"),
    [("corta", None), ("1234567890", None), ("eva@dominio.com", None), (NEW, "otra cosa"), ("x" * 129, None)],
)
def test_a_poor_password_is_refused_and_the_link_goes_on(eva, password, again):
    path = mailed()
    answer = write(path, password, again)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()
    assert log_in(OLD).status_code == 302


def test_a_form_of_another_site_sets_nothing(eva):
    assert write(mailed(), http=Client(enforce_csrf_checks=True)).status_code == 403
    assert log_in(OLD).status_code == 302


def test_the_mail_is_in_no_row_and_no_log(eva, caplog):
    path = mailed()
    assert Message.objects.count() == 0
    assert path.split("/")[-2] not in caplog.text
    assert ResetRequest.objects.count() == 0


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        (GatewayError("451 later", permanent=False), None, 1),
        (GatewayError("550 no", permanent=True), None, 1),
        (OutcomeUnknown("timeout"), None, 1),
        (GatewayError("550 no", permanent=True), GatewayError("550 no", permanent=True), 0),
    ],
)
def test_another_provider_takes_over_unless_the_first_may_have_sent_it(eva, monkeypatch, first, second, taken):
    gateways = (FakeGateway("uno", first), FakeGateway("dos", second))
    monkeypatch.setattr(unqueued_mail, "gateways_for", lambda via: gateways)
    ask("eva")
    assert staff_mail.send_reset_links(at=timezone.now()) == taken


def test_without_mail_nothing_is_offered(eva, settings):
    assert "¿Olvidó su contraseña?" in Client().get("/admin/login/").content.decode()
    settings.AVAL_GATEWAYS = {**settings.AVAL_GATEWAYS, "C": ()}
    assert "¿Olvidó su contraseña?" not in Client().get("/admin/login/").content.decode()
    assert Client().get(ASK).status_code == 404
    assert ask("eva").status_code == 404


def test_a_password_by_link_is_one_s_own(eva):
    passwords.chosen_by_other(eva, at=timezone.now())
    write(mailed())
    assert not FirstPassword.objects.exists()


def test_the_pages_are_in_no_cache(eva):
    for path in (ASK, mailed()):
        assert Client().get(path)["Cache-Control"] == "no-store, private"


@pytest.mark.parametrize("query", ["", "?format=json", "?to=eva@dominio.com", "?format=json&to=eva@dominio.com"])
def test_the_outbox_of_a_sandbox_shows_such_a_mail_to_staff_alone(eva, settings, query):
    path = mailed()
    assert path.startswith(passwords.LINK_PATH)
    assert path not in Client().get(f"/sandbox/messages{query}").content.decode()
    inside = Client()
    inside.force_login(eva)
    assert path in inside.get(f"/sandbox/messages{query}").content.decode()
