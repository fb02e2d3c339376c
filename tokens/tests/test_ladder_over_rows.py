"""The two ladders over real rows: per via, per destination, given back, validated, forgiven."""

from datetime import timedelta

import pytest

from conftest import NOW, make_applicant
from messaging import delivery
from messaging.models import Message
from tokens import codes, forgiving, services
from tokens.cooldown import wait_before
from tokens.errors import CooldownActive
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
NOBODY = Origin()
MIN, HOUR = timedelta(minutes=1), timedelta(hours=1)


def ask(applicant, at, *, via="S", phone="987654321"):
    return services.request(applicant.pk, via=via, phone=phone, operator="CLARO", origin=NOBODY, at=at).token


def refused(applicant, at, **kwargs):
    with pytest.raises(CooldownActive) as refusal:
        ask(applicant, at, **kwargs)
    return refusal.value.standing


def backdated(applicant, times, *, via="S", destination="987654321"):
    for each in times:
        VerificationToken.objects.create(
            applicant=applicant, via=via, destination=destination, code_hmac=b"x" * 32, created_at=each,
            expires_at=each, outcome="SIN_RESPUESTA", finished_at=each, client_attempt=1, client_wait=timedelta(0),
            destination_attempt=1, destination_wait=timedelta(0),
        )  # fmt: skip


@pytest.mark.parametrize("nth", range(2, 13))
def test_the_wait_before_each_request_over_backdated_rows(applicant, nth):
    times = [NOW - timedelta(seconds=nth - each) for each in range(nth - 1)]
    backdated(applicant, times)
    standing = refused(applicant, NOW)
    assert standing.available_at == times[-1] + wait_before(nth)
    assert standing.attempts_24h == nth - 1
    token = ask(applicant, times[-1] + wait_before(nth))
    expected = nth if times[0] >= times[-1] + wait_before(nth) - 24 * HOUR else token.client_attempt
    assert token.client_attempt == expected
    assert token.client_wait == wait_before(token.client_attempt + 1)


def test_an_eager_client_over_72_hours_over_rows(applicant):
    now, made = NOW, []
    while now < NOW + 72 * HOUR:
        try:
            ask(applicant, now)
            made.append((now - NOW) / MIN)
        except CooldownActive as refusal:
            now = refusal.standing.available_at
    assert made[:9] == [0, 2, 6, 36, 96, 336, 636, 1116, 1836]


def test_vias_have_ladders_of_their_own(applicant):
    ask(applicant, NOW)
    assert ask(applicant, NOW + timedelta(seconds=1), via="W").client_attempt == 1
    refused(applicant, NOW + timedelta(seconds=2))


def test_another_client_does_not_get_round_the_destination_s_ladder(applicant):
    ask(applicant, NOW)
    other = make_applicant("87654321")
    assert refused(other, NOW + MIN).available_at == NOW + 2 * MIN
    token = ask(other, NOW + 2 * MIN)
    assert (token.client_attempt, token.destination_attempt) == (1, 2)
    assert refused(applicant, NOW + 3 * MIN).available_at == NOW + 6 * MIN, "the longer wait holds"


def test_a_refusal_whose_clock_was_read_too_early_still_says_two_minutes(applicant):
    """It queued for the number's lock while another client's request was accepted."""
    ask(applicant, NOW)
    other = make_applicant("87654321")
    with pytest.raises(CooldownActive) as refusal:
        ask(other, NOW - timedelta(seconds=1))
    assert refusal.value.standing.remaining(at=refusal.value.at) == 2 * MIN


def test_another_destination_does_not_get_round_the_client_s_ladder(applicant):
    ask(applicant, NOW)
    assert refused(applicant, NOW + MIN, phone="912345678").available_at == NOW + 2 * MIN


def test_cancelling_frees_no_rung(applicant):
    ask(applicant, NOW)
    services.cancel(applicant.pk, origin=NOBODY, at=NOW + timedelta(seconds=5))
    assert Message.objects.get().state == "CANCELLED"
    refused(applicant, NOW + MIN)


@pytest.mark.parametrize("state", ["FAILED", "UNKNOWN", "EXPIRED"])
def test_a_rung_is_given_back_when_no_provider_is_known_to_have_taken_the_message(applicant, state, settings):
    token = ask(applicant, NOW)
    end_message(state, settings)
    assert ask(applicant, NOW + timedelta(seconds=3)).client_attempt == 1
    token.refresh_from_db()
    assert token.returned_at is not None
    assert token.outcome == ("REEMPLAZADO" if state == "UNKNOWN" else "NO_ENVIADO")


def test_after_a_give_back_the_wait_is_worked_out_anew_from_the_last_request_that_counts(applicant):
    backdated(applicant, [NOW - 3 * MIN])
    token = ask(applicant, NOW)
    VerificationToken.objects.filter(pk=token.pk).update(returned_at=NOW)
    assert ask(applicant, NOW + timedelta(seconds=1)).client_attempt == 2


def test_validation_takes_its_request_off_the_destination_s_ladder_only(applicant):
    token = ask(applicant, NOW)
    code = known_code(token)
    services.verify(applicant.pk, code, origin=NOBODY, at=NOW + timedelta(seconds=9))
    other = make_applicant("87654321")
    assert ask(other, NOW + timedelta(seconds=10)).destination_attempt == 1


def test_forgiveness_stops_earlier_requests_from_counting_on_both_ladders(applicant):
    backdated(applicant, [NOW - each * MIN for each in range(9, 0, -1)])
    refused(applicant, NOW)
    forgiving.forgive(applicant, "S", by="ana", reason="llamó y se identificó", at=NOW)
    token = ask(applicant, NOW + timedelta(seconds=1))
    assert (token.client_attempt, token.destination_attempt) == (1, 1)
    assert VerificationToken.objects.count() == 10, "the history is never deleted"
    refused(applicant, NOW + MIN)


def test_forgiving_one_via_leaves_the_others(applicant):
    ask(applicant, NOW)
    forgiving.forgive(applicant, "W", by="ana", reason="se equivocó de vía", at=NOW + timedelta(seconds=1))
    refused(applicant, NOW + MIN)


def known_code(token):
    code = "A1B2"
    VerificationToken.objects.filter(pk=token.pk).update(code_hmac=codes.digest(token.pk, code))
    return code


def end_message(state, settings):
    """Brings the only queued message to its end the way the worker or the sweep would."""
    from messaging.transitions import move

    if state == "EXPIRED":
        move("EXPIRED", "send_before IS NOT NULL", {}, at=NOW + timedelta(seconds=1))
        return
    [message] = delivery.claim("codes", at=NOW)
    gateway = delivery.gateways_for("S")[0]
    assert delivery.hand_over(message, gateway, at=NOW)
    delivery.record(message, state, at=NOW + timedelta(seconds=1), reply="")
