"""Both cooldown ladders over real rows: per via, per destination, given back, validated, forgiven."""

import functools
import itertools
from datetime import timedelta

import pytest
from django.db import connection, transaction

from conftest import NOW, at_once, make_applicant
from messaging.delivery import send
from messaging.models import Message
from messaging.twins import routing
from testkit.codes import request_code
from tests.factories import VerificationTokenFactory
from tokens import codes, cooldown_overrides, retention, services, sql
from tokens.cooldown import LOOK_BACK, wait_before
from tokens.errors import CooldownActive
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db
OPEN_FORM = Origin()
MIN, HOUR = timedelta(minutes=1), timedelta(hours=1)


def ask(applicant, at, *, via="S", phone="987654321"):
    return request_code(applicant.pk, via=via, phone=phone, operator="CLARO", origin=OPEN_FORM, at=at)


def refused(applicant, at, **kwargs):
    with pytest.raises(CooldownActive) as refusal:
        ask(applicant, at, **kwargs)
    return refusal.value.state


def backdated(applicant, times, *, via="S", destination="987654321"):
    for each in times:
        VerificationTokenFactory(
            applicant=applicant, via=via, destination=destination, created_at=each, outcome="SIN_RESPUESTA"
        )


@pytest.mark.parametrize("nth", range(2, 13))
def test_the_wait_before_each_request_over_backdated_rows(applicant, nth):
    times = [NOW - timedelta(seconds=nth - each) for each in range(nth - 1)]
    backdated(applicant, times)
    state = refused(applicant, NOW)
    assert state.available_at == times[-1] + wait_before(nth)
    assert state.attempts_24h == nth - 1
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
            now = refusal.state.available_at
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


def test_an_error_whose_clock_was_read_too_early_still_says_two_minutes(applicant):
    """It queued for the number's lock while another client's request was accepted."""
    ask(applicant, NOW)
    other = make_applicant("87654321")
    with pytest.raises(CooldownActive) as refusal:
        ask(other, NOW - timedelta(seconds=1))
    assert refusal.value.state.remaining(at=refusal.value.at) == 2 * MIN


def test_another_destination_does_not_get_round_the_client_s_ladder(applicant):
    ask(applicant, NOW)
    assert refused(applicant, NOW + MIN, phone="912345678").available_at == NOW + 2 * MIN


def test_cancelling_frees_no_rung(applicant):
    ask(applicant, NOW)
    services.cancel(applicant.pk, origin=OPEN_FORM, at=NOW + timedelta(seconds=5))
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
    services.verify(applicant.pk, code, origin=OPEN_FORM, at=NOW + timedelta(seconds=9))
    other = make_applicant("87654321")
    assert ask(other, NOW + timedelta(seconds=10)).destination_attempt == 1


def test_forgiveness_stops_earlier_requests_from_counting_on_both_ladders(applicant):
    backdated(applicant, [NOW - each * MIN for each in range(9, 0, -1)])
    refused(applicant, NOW)
    cooldown_overrides.forgive(applicant, "S", by="ana", reason="llamó y se identificó", at=NOW)
    token = ask(applicant, NOW + timedelta(seconds=1))
    assert (token.client_attempt, token.destination_attempt) == (1, 1)
    assert VerificationToken.objects.count() == 10, "the history is never deleted"
    refused(applicant, NOW + MIN)


def test_forgiving_one_via_leaves_the_others(applicant):
    ask(applicant, NOW)
    cooldown_overrides.forgive(applicant, "W", by="ana", reason="se equivocó de vía", at=NOW + timedelta(seconds=1))
    refused(applicant, NOW + MIN)


def known_code(token):
    code = "A1B2"
    VerificationToken.objects.filter(pk=token.pk).update(code_hmac=codes.digest(token.pk, code))
    return code


def end_message(state, settings):
    """Brings the only queued message to its end the way the worker or the sweep would."""
    from messaging.queue.transitions import move
    from messaging.transitions_sql import moves

    if state == "EXPIRED":
        move("EXPIRED", moves("EXPIRED", where="send_before IS NOT NULL"), {}, at=NOW + timedelta(seconds=1))
        return
    [message] = send.claim("codes", at=NOW)
    gateway = routing.gateways_of(message)[0]
    assert send.hand_over(message, gateway, at=NOW)
    send.record(message, state, at=NOW + timedelta(seconds=1), reply="")


# --- one mailbox, however it is spelled ------------------------------------------------------------------------

SAME = ("juan.perez@gmail.com", "juanperez+b@gmail.com", "j.u.a.n.perez@googlemail.com", "juanperez@gmail.com")
OTHERS = ("juan.perez@empresa.pe", "juanperez@empresa.pe", "perez@gmail.com", "juan.perez@gmail.com.pe")


@pytest.mark.parametrize("spelled", SAME[1:])
def test_a_mailbox_has_one_ladder_however_it_is_spelled(spelled):
    ask(make_applicant(email=SAME[0]), NOW, via="C")
    other = make_applicant("87654321", email=spelled)
    assert refused(other, NOW + MIN, via="C").available_at == NOW + 2 * MIN
    token = ask(other, NOW + 2 * MIN, via="C")
    assert token.destination == spelled, "stored, and sent to, as given"
    assert Message.objects.latest("created_at").recipient == spelled


@pytest.mark.parametrize("other", OTHERS)
def test_other_mailboxes_have_ladders_of_their_own(other):
    ask(make_applicant(email=SAME[0]), NOW, via="C")
    assert ask(make_applicant("87654321", email=other), NOW + MIN, via="C").destination_attempt == 1


def test_a_tag_makes_no_other_mailbox_anywhere():
    ask(make_applicant(email="ana+1@empresa.pe"), NOW, via="C")
    refused(make_applicant("87654321", email="ana+2+3@empresa.pe"), NOW + MIN, via="C")
    refused(make_applicant("87654322", email="ana@empresa.pe"), NOW + MIN, via="C")
    ask(make_applicant("87654323", email="an.a@empresa.pe"), NOW + MIN, via="C")


def test_forgiving_one_spelling_forgives_the_mailbox():
    first, other = make_applicant(email=SAME[0]), make_applicant("87654321", email=SAME[1])
    ask(first, NOW, via="C")
    cooldown_overrides.forgive(first, "C", by="ana", reason="llamó", at=NOW + timedelta(seconds=1))
    assert ask(other, NOW + timedelta(seconds=2), via="C").destination_attempt == 1


@pytest.mark.parametrize("via", ["S", "C"])
def test_a_destination_is_forgiven_three_times_a_day_over_its_clients(via):
    people = [make_applicant(f"8765432{each}", email=spelled) for each, spelled in enumerate(SAME)]
    for minute, person in enumerate(people):
        backdated(person, [NOW - MIN], via=via, destination="987654321" if via == "S" else person.email)
        forgive = functools.partial(
            cooldown_overrides.forgive, person, via, by="ana", reason="llamó", at=NOW + minute * MIN, address=None
        )
        if minute < 3:
            forgive()
    with pytest.raises(cooldown_overrides.ForgivenTooOften):
        forgive()
    forgive(may_exceed=True)
    other = make_applicant("12345670")
    backdated(other, [NOW], via=via, destination="912345678" if via == "S" else other.email)
    cooldown_overrides.forgive(other, via, by="ana", reason="llamó", at=NOW)
    cooldown_overrides.forgive(people[0], via, by="ana", reason="llamó", at=NOW + 24 * HOUR)


@pytest.mark.parametrize("how", ["given back", "validated"])
def test_what_frees_a_rung_frees_it_for_every_spelling(how):
    first, other = make_applicant(email=SAME[0]), make_applicant("87654321", email=SAME[1])
    token = ask(first, NOW, via="C")
    if how == "validated":
        services.verify(first.pk, known_code(token), origin=OPEN_FORM, at=NOW + timedelta(seconds=5))
    else:
        VerificationToken.objects.update(returned_at=NOW)
    assert ask(other, NOW + timedelta(seconds=10), via="C").destination_attempt == 1


def test_erasing_a_person_leaves_the_mailbox_its_ladder_and_no_trace_two_days_later():
    first, other = make_applicant(email=SAME[0]), make_applicant("87654321", email=SAME[1])
    ask(first, NOW, via="C")
    with transaction.atomic():
        retention.erase([first.pk], at=NOW + timedelta(seconds=1))
    refused(other, NOW + MIN, via="C")
    assert retention.ERASED.batch(at=NOW + LOOK_BACK + MIN) == 1
    assert VerificationToken.objects.get(applicant=first.pk).destination == ""


@pytest.mark.django_db(transaction=True)
def test_spellings_asked_for_at_once_take_one_rung():
    people = [make_applicant(f"1000000{each}", email=f"juan.perez+{each}@gmail.com") for each in range(8)]

    def once(person):
        try:
            return bool(ask(person, NOW, via="C"))
        except CooldownActive:
            return False

    assert sum(at_once([functools.partial(once, each) for each in people])) == 1


FILL = """
    INSERT INTO tokens_verificationtoken (
        id, applicant_id, via, destination, operator, code_hmac, wrong_tries, created_at, expires_at, outcome,
        finished_at, client_attempt, client_wait, destination_attempt, destination_wait
    ) SELECT gen_random_uuid(), %(applicant)s, %(via)s, %(destination)s || each %% 1000, '', '', 0,
        %(at)s - each * interval '1 s', %(at)s, 'EXPIRADO', %(at)s, 1, '0', 1, '0' FROM generate_series(1, 5000) AS each
"""
FILL_FORGIVEN = """
    INSERT INTO tokens_ladderforgiveness (applicant_id, via, destination, at, by, reason)
    SELECT %(applicant)s, %(via)s, %(destination)s || each %% 1000, %(at)s, 'eva', 'x'
    FROM generate_series(1, 5000) AS each
"""


@pytest.mark.parametrize("is_twin", [False, True])
@pytest.mark.parametrize("via", ["S", "C"])
def test_the_ladder_is_read_over_an_index_whatever_the_history(applicant, via, is_twin):
    params = {
        "applicant": applicant.pk,
        "via": via,
        "destination": SAME[1],
        "since": NOW - 24 * HOUR,
        "at": NOW,
        "partner": 1,
    }
    with connection.cursor() as cursor:
        for fill in (FILL, FILL_FORGIVEN):
            cursor.execute(fill, params)
        cursor.execute("ANALYZE tokens_verificationtoken, tokens_ladderforgiveness")
        cursor.execute(f"EXPLAIN {sql.LADDERS[via, is_twin]}", params)
        plan = [row[0].strip() for row in cursor.fetchall()]
    what = "mailbox" if via == "C" and not is_twin else "destination"
    ladder = "tokens_of_a_twin" if is_twin else f"ladder_of_a_{what}"  # there are no rows of twins
    for index in (ladder, f"forgiven_on_a_{what}"):
        conditions = [following for line, following in itertools.pairwise(plan) if index in line]
        assert conditions, plan
        assert all(("(twin_id = '1'::bigint)" if is_twin else "(twin_id IS NULL)") in each for each in conditions), plan


# --- what a partner learns of another's requests ------------------------------------------------------------


def of_partner(partner, number, **changes):
    return make_applicant(number, partner=partner, **changes)


def test_a_partner_learns_the_wait_that_another_imposed_and_nothing_else(informa, stranger):
    theirs = of_partner(stranger.partner, "87654321")
    backdated(theirs, [NOW - 3 * MIN, NOW - 2 * MIN, NOW - MIN])
    mine = of_partner(informa.partner, "12345678")
    origin = Origin(informa.partner)
    with pytest.raises(CooldownActive) as refusal:
        services.request(mine.pk, via="S", phone="987654321", operator="CLARO", origin=origin, at=NOW)
    state = refusal.value.state
    assert (state.available_at, state.attempts_24h) == (NOW + 29 * MIN, 0)
    backdated(mine, [NOW - 4 * MIN])
    _, state = services.cooldown(mine.pk, "S", origin=origin, at=NOW)
    assert (state.available_at, state.attempts_24h) == (NOW - MIN + HOUR, 1)
    colleague = of_partner(informa.partner, "12345679")
    backdated(colleague, [NOW - 5 * MIN])
    _, state = services.cooldown(mine.pk, "S", origin=origin, at=NOW)
    assert state.attempts_24h == 2, "its own requests over all its clients"


def test_without_another_s_requests_a_partner_sees_the_destination_s_ladder_as_it_is(informa):
    first, second = of_partner(informa.partner, "87654321"), of_partner(informa.partner, "12345678")
    backdated(first, [NOW - 3 * MIN, NOW - MIN])
    with pytest.raises(CooldownActive) as refusal:
        services.request(
            second.pk, via="S", phone="987654321", operator="CLARO", origin=Origin(informa.partner), at=NOW
        )
    assert (refusal.value.state.attempts_24h, refusal.value.state.available_at) == (2, NOW + 3 * MIN)
