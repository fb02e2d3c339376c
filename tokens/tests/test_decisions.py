"""Decisions about codes, without a database: each rule, and 1,000 random histories by an earlier form of the rules."""

import random
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from clients.errors import ApplicantAlreadyValidated, ApplicantLocked, Refused
from conftest import NOW
from tokens import decisions
from tokens.cooldown import WAITS, applying, cooldown_state, wait_before
from tokens.decisions import Code, Person, Snapshot
from tokens.errors import CooldownActive, NoPendingToken
from tokens.models import CODE_LIFETIME, VerificationToken

OUTCOMES = list(VerificationToken.Outcome.values)
SECOND = timedelta(seconds=1)


def person(**fields):
    of = {"id": uuid4(), "partner_id": None, "email": "ana@example.com", "state": "PENDIENTE"}
    return Person(**{**of, "wrong_codes_in_a_row": 0, "locked_at": None, **fields})


def code(*, created_at=NOW, **fields):
    of = {"id": uuid4(), "applicant_id": uuid4(), "via": "S", "destination": "987654321", "operator": "CLARO"}
    of |= {"code_hmac": b"", "wrong_tries": 0, "outcome": "PENDIENTE"}
    return Code(**{**of, "created_at": created_at, "expires_at": created_at + CODE_LIFETIME, **fields})


def snapshot(*, latest=None, requests=(), **fields):
    return Snapshot(person(**fields), "987654321", latest, list(requests), None)


def decided(found, *, at=NOW):
    try:
        return decisions.request(found, "S", at=at)
    except Refused as refused:
        return (type(refused).__name__, getattr(refused, "state", None), getattr(refused, "at", None))


def test_the_first_code_of_a_client_is_sent_at_once():
    new = decided(snapshot())
    assert (new.at, new.client_attempt, new.destination_attempt, new.ends_latest_as) == (NOW, 1, 1, None)
    assert new.client_wait == new.destination_wait == WAITS[1]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"state": "VALIDADO"}, ApplicantAlreadyValidated),
        ({"locked_at": NOW}, ApplicantLocked),
        ({"requests": [(True, True, NOW - SECOND)]}, CooldownActive),
        ({"requests": [(False, False, NOW - SECOND)]}, CooldownActive),
    ],
)
def test_a_request_that_is_refused(fields, error):
    with pytest.raises(error):
        decisions.request(snapshot(**fields), "S", at=NOW)


def test_a_wait_is_over_at_its_last_moment_and_not_before():
    asked = [(True, True, NOW - WAITS[1])]
    assert decided(snapshot(requests=asked)).client_attempt == 2
    assert decided(snapshot(requests=asked), at=NOW - timedelta(microseconds=1))[0] == "CooldownActive"


@pytest.mark.parametrize(
    ("latest", "outcome"),
    [
        (code(created_at=NOW - 10 * SECOND), "REEMPLAZADO"),
        (code(created_at=NOW - CODE_LIFETIME), "REEMPLAZADO"),
        (code(created_at=NOW - CODE_LIFETIME - SECOND), "SIN_RESPUESTA"),
        (code(created_at=NOW - CODE_LIFETIME - SECOND, wrong_tries=1), "EXPIRADO"),
        *((code(created_at=NOW - SECOND, outcome=each), None) for each in OUTCOMES if each != "PENDIENTE"),
    ],
)
def test_what_becomes_of_the_code_before(latest, outcome):
    assert decided(snapshot(latest=latest)).ends_latest_as == outcome


def test_a_code_is_later_than_the_one_before_it_whatever_the_clock_of_its_caller():
    assert decided(snapshot(latest=code(created_at=NOW + SECOND))).at == NOW + SECOND + decisions.NEXT_MOMENT


def test_whose_code_can_be_tried():
    assert decisions.is_late(person(), code(), at=NOW + CODE_LIFETIME) is False
    assert decisions.is_late(person(), code(), at=NOW + CODE_LIFETIME + decisions.NEXT_MOMENT) is True
    for outcome in OUTCOMES:
        ended = code(outcome=outcome)
        if outcome in ("EXPIRADO", "SIN_RESPUESTA"):
            assert decisions.is_late(person(), ended, at=NOW) is True
        elif outcome != "PENDIENTE":
            with pytest.raises(NoPendingToken):
                decisions.is_late(person(), ended, at=NOW)
    with pytest.raises(NoPendingToken):
        decisions.is_late(person(), None, at=NOW)
    with pytest.raises(ApplicantLocked):
        decisions.is_late(person(locked_at=NOW), None, at=NOW)


def test_the_last_try_leaves_none_and_the_hundredth_wrong_code_locks():
    assert [decisions.wrong_try(person(), code(wrong_tries=n), tries=5).remaining for n in range(5)] == [4, 3, 2, 1, 0]
    assert decisions.wrong_try(person(), code(), tries=1).remaining == 0
    for before, locks in ((98, False), (99, True), (100, True)):
        tried = decisions.wrong_try(person(wrong_codes_in_a_row=before), code(), tries=5)
        assert tried.locks_applicant is locks


def in_steps(found, *, at):
    """The decision as it was made before it was a function: over one ladder after the other."""
    if found.person.state == "VALIDADO":
        return ("ApplicantAlreadyValidated", None, None)
    if found.person.locked_at is not None:
        return ("ApplicantLocked", None, None)
    latest = found.latest
    at = max(
        [at, *([latest.created_at + timedelta(microseconds=1)] if latest else ()), *(r[2] for r in found.requests)]
    )
    client = cooldown_state([asked for mine, _, asked in found.requests if mine], at=at)
    destination = cooldown_state([asked for mine, _, asked in found.requests if not mine], at=at)
    own = cooldown_state([asked for mine, same, asked in found.requests if same and not mine], at=at)
    until = applying(client, destination).available_at
    if until is not None:
        return ("CooldownActive", replace(applying(client, own), available_at=until), at)
    ended = None
    if latest is not None and latest.outcome == "PENDIENTE":
        over = at > latest.expires_at
        ended = ("EXPIRADO" if latest.wrong_tries else "SIN_RESPUESTA") if over else "REEMPLAZADO"
    rungs = (client.attempts_24h + 1, destination.attempts_24h + 1)
    return decisions.NewCode(at, rungs[0], wait_before(rungs[0] + 1), rungs[1], wait_before(rungs[1] + 1), ended)


def random_snapshot(chance):
    span = chance.choice([200, 1_000, 20_000, 170_000])
    moments = [NOW - timedelta(seconds=chance.randrange(-3, span)) for _ in range(chance.randrange(9))]
    requests = [(mine, mine or chance.random() < 0.5, at) for at in moments for mine in [chance.random() < 0.5]]
    latest = None
    if chance.random() < 0.8:
        asked = NOW - timedelta(seconds=chance.randrange(-3, 400))
        latest = code(created_at=asked, outcome=chance.choice(OUTCOMES), wrong_tries=chance.randrange(5))
    return snapshot(
        latest=latest,
        requests=requests,
        state="VALIDADO" if chance.random() < 0.05 else "PENDIENTE",
        locked_at=NOW if chance.random() < 0.05 else None,
    )


def test_a_thousand_random_histories_are_decided_as_before():
    chance, kinds = random.Random(14), set()
    for _ in range(1_000):
        found = random_snapshot(chance)
        made = decided(found)
        assert made == in_steps(found, at=NOW)
        kinds.add(made[0] if isinstance(made, tuple) else (made.ends_latest_as, made.client_attempt > 3))
    assert len(kinds) >= 8, f"the histories lead to {kinds}"
