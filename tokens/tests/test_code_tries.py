"""Stored tries that did not verify: when, and whether it was the code after all. Never the typed text."""

from datetime import timedelta

import pytest

from conftest import NOW
from tokens import services
from tokens.errors import TokenExpired, TriesUsedUp, WrongCode
from tokens.models import CodeTry, VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
CODE = "Q7ZX"


@pytest.fixture
def asked(applicant, monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)
    services.request(applicant.pk, via="S", phone="987654321", operator="CLARO", origin=Origin(), at=NOW)
    return applicant


def type_in(applicant, typed, seconds, error=None):
    at = NOW + timedelta(seconds=seconds)
    if error is None:
        services.verify(applicant.pk, typed, origin=Origin(), at=at)
    else:
        with pytest.raises(error):
            services.verify(applicant.pk, typed, origin=Origin(), at=at)


def stored_tries():
    return [(each.result, (each.at - NOW).total_seconds()) for each in CodeTry.objects.order_by("at")]


def test_wrong_ones_then_the_right_one(asked):
    type_in(asked, "AAAA", 10, WrongCode)
    type_in(asked, "nonsense", 11, WrongCode)
    type_in(asked, CODE, 12)
    assert stored_tries() == [("wrong", 10.0), ("wrong", 11.0)]


def test_the_fifth_wrong_try_is_stored_and_the_sixth_is_not(asked):
    for second in range(4):
        type_in(asked, "AAAA", second, WrongCode)
    type_in(asked, "AAAA", 4, TriesUsedUp)
    with pytest.raises(services.NoPendingToken):
        services.verify(asked.pk, CODE, origin=Origin(), at=NOW + timedelta(seconds=5))
    assert stored_tries() == [("wrong", float(second)) for second in range(5)]


@pytest.mark.parametrize("closed", [False, True])
def test_a_late_try_records_whether_it_was_the_code(asked, closed):
    if closed:
        services.expire(asked.pk, origin=Origin(), at=NOW + timedelta(seconds=160))
    type_in(asked, "AAAA", 163, TokenExpired)
    type_in(asked, CODE.lower(), 197, TokenExpired)
    assert stored_tries() == [("late_wrong", 163.0), ("late", 197.0)]
    token = VerificationToken.objects.get()
    assert token.wrong_tries == 0


def test_five_late_tries_are_stored(asked):
    for second in range(200, 220):
        type_in(asked, "AAAA", second, TokenExpired)
    assert len(stored_tries()) == services.MAX_LATE_TRIES
