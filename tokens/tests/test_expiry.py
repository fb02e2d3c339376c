"""Expiry of codes: in time up to 150 s, refused after, closed by the sweep without a call."""

import contextlib
from datetime import timedelta

import pytest

from conftest import NOW
from messaging.delivery import sweeper
from messaging.models import Message
from testkit.codes import request_code
from tokens import codes, services
from tokens import sweeper as settling
from tokens.errors import NoPendingToken, TokenExpired, TokenStillActive, WrongCode
from tokens.models import TRANSITIONS, VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
OPEN_FORM = Origin()
CODE = "A1B2"


def seconds(number):
    return NOW + timedelta(seconds=number)


@pytest.fixture
def token(applicant):
    made = request_code(applicant.pk, via="S", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=NOW)
    VerificationToken.objects.filter(pk=made.pk).update(code_hmac=codes.digest(made.pk, CODE))
    return made


def outcome(token):
    token.refresh_from_db()
    return token.outcome


@pytest.mark.parametrize("after", [0, 149, 150])
def test_in_time(token, after):
    services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(after))
    assert outcome(token) == "VALIDADO"


@pytest.mark.parametrize("after", [150.000001, 151, 86_400])
def test_too_late(token, after):
    with pytest.raises(TokenExpired):
        services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(after))
    token.refresh_from_db()
    assert token.wrong_tries == 0


@pytest.mark.parametrize(("tries", "ending"), [(0, "SIN_RESPUESTA"), (2, "EXPIRADO")])
def test_the_sweep_closes_what_is_over_and_it_stays_expired_for_the_caller(token, tries, ending):
    for _ in range(tries):
        with pytest.raises(WrongCode):
            services.verify(token.applicant_id, "ZZZZ", origin=OPEN_FORM, at=seconds(10))
    settling.sweep(at=seconds(150))
    assert outcome(token) == "PENDIENTE"
    settling.sweep(at=seconds(150.1))
    assert outcome(token) == ending
    with pytest.raises(TokenExpired):
        services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(151))
    with pytest.raises(NoPendingToken):
        services.cancel(token.applicant_id, origin=OPEN_FORM, at=seconds(151))
    assert services.expire(token.applicant_id, origin=OPEN_FORM, at=seconds(151)) == ending


def test_a_code_no_provider_took_in_time_ends_not_sent_and_its_client_may_ask_again(token):
    sweeper.sweep(at=seconds(129))
    assert outcome(token) == "PENDIENTE"
    sweeper.sweep(at=seconds(130))
    assert Message.objects.get().state == "EXPIRED"
    assert outcome(token) == "NO_ENVIADO"
    with pytest.raises(NoPendingToken):
        services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(131))
    again = request_code(
        token.applicant_id, via="S", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=seconds(131)
    )
    assert again.client_attempt == 1


def test_the_sweep_gives_back_a_rung_that_a_crash_left_taken(token, monkeypatch):
    monkeypatch.setattr("messaging.queue.transitions._listeners", [])
    sweeper.sweep(at=seconds(130))
    assert outcome(token) == "PENDIENTE"
    settling.sweep(at=seconds(131))
    assert outcome(token) == "NO_ENVIADO"


def test_expire_in_the_grace_period_leaves_the_code_live(token):
    with pytest.raises(TokenStillActive):
        services.expire(token.applicant_id, origin=OPEN_FORM, at=seconds(144.9))
    assert services.expire(token.applicant_id, origin=OPEN_FORM, at=seconds(145)) == "SIN_RESPUESTA"
    assert outcome(token) == "PENDIENTE"
    services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(149))


def test_asking_anew_ends_a_live_code_as_replaced_and_an_expired_one_as_expired(token):
    second = request_code(
        token.applicant_id, via="S", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=seconds(121)
    )
    assert outcome(token) == "REEMPLAZADO"
    assert Message.objects.get(reference=token.pk).state == "CANCELLED"
    services.request(
        token.applicant_id, via="W", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=seconds(300)
    )
    assert outcome(second) == "SIN_RESPUESTA"


def test_every_outcome_is_final():
    for state, targets in TRANSITIONS.items():
        assert bool(targets) == (state == "PENDIENTE")
    assert TRANSITIONS["PENDIENTE"] == set(VerificationToken.Outcome) - {"PENDIENTE"}


@pytest.mark.parametrize("ended", sorted(set(VerificationToken.Outcome) - {"PENDIENTE"}))
def test_what_has_ended_is_moved_by_no_act(token, ended):
    VerificationToken.objects.update(outcome=ended, finished_at=NOW)
    for act in (
        lambda: services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(9)),
        lambda: services.cancel(token.applicant_id, origin=OPEN_FORM, at=seconds(9)),
        lambda: services.expire(token.applicant_id, origin=OPEN_FORM, at=seconds(200)),
        lambda: settling.sweep(at=seconds(200)),
        lambda: services.request(
            token.applicant_id, via="W", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=seconds(9)
        ),
    ):
        with contextlib.suppress(NoPendingToken, TokenExpired):
            act()
        assert outcome(token) == ended


def test_a_request_that_waited_for_the_lock_comes_after_what_was_accepted_meanwhile(token):
    """Its clock was read first, its lock was granted last: it is the latest all the same."""
    later = request_code(
        token.applicant_id, via="W", phone="987654321", operator="CLARO", origin=OPEN_FORM, at=seconds(-1)
    )
    VerificationToken.objects.filter(pk=later.pk).update(code_hmac=codes.digest(later.pk, CODE))
    assert outcome(token) == "REEMPLAZADO"
    assert later.created_at > token.created_at
    services.verify(token.applicant_id, CODE, origin=OPEN_FORM, at=seconds(5))
    assert outcome(later) == "VALIDADO"
