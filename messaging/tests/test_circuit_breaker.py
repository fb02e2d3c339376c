"""Circuit breaker: the arithmetic, second by second."""

import pytest

from messaging.delivery.circuit_breaker import MIN_CALLS, SILENT_AFTER, SILENT_CALLS, SLOW, WINDOW, Window


def window(*calls):
    """Calls as (began, ended, failed)."""
    made = Window()
    for number, (began, ended, failed) in enumerate(calls):
        made.begin(number, now=began)
        made.end(number, failed=failed, now=ended)
    return made


def test_a_provider_that_answers_is_left_alone():
    assert window(*[(each, each + 0.3, False) for each in range(50)]).open_reason(now=50) == ""


def test_three_failures_in_a_row_are_enough_two_are_not():
    assert window((0, 1, True), (1, 2, True)).open_reason(now=2) == ""
    assert window((0, 1, True), (1, 2, True), (2, 3, True)).open_reason(now=3) == "3 fallas seguidas"
    assert window((0, 1, True), (1, 2, True), (2, 3, False), (3, 4, True)).open_reason(now=4) == ""


def test_half_of_six():
    calls = [(each, each + 0.1, each % 2 == 0) for each in range(MIN_CALLS)]
    assert window(*calls).open_reason(now=6) == "3 de 6 envíos fallaron en el último minuto"
    assert window(*calls[:-1]).open_reason(now=6) == "", "five say too little"


def test_what_is_older_than_the_window_does_not_count():
    calls = [(0, 1, True), (1, 2, True), (2, 3, True)]
    assert window(*calls).open_reason(now=WINDOW + 2.5) == ""


def test_an_answer_that_asks_to_wait_says_nothing_of_health():
    assert window((0, 1, True), (1, 2, None), (2, 3, True)).open_reason(now=3) == ""
    assert window(*[(each, each + 1, None) for each in range(20)]).open_reason(now=20) == ""


def test_slow_is_a_median():
    slow = [(each * 10, each * 10 + SLOW + 1, False) for each in range(MIN_CALLS)]
    assert window(*slow).open_reason(now=60) == "tarda 6.0 s en responder"
    mixed = [(each * 2, each * 2 + (9 if each < 2 else 0.2), False) for each in range(MIN_CALLS)]
    assert window(*mixed).open_reason(now=20) == ""


def test_silence_is_found_out_before_any_call_has_ended():
    made = Window()
    for number in range(SILENT_CALLS):
        made.begin(number, now=0)
    assert made.open_reason(now=SILENT_AFTER - 0.01) == ""
    assert made.open_reason(now=SILENT_AFTER) == "3 envíos sin respuesta desde hace más de 3 s"
    made.end(0, failed=True, now=SILENT_AFTER)
    assert made.open_reason(now=SILENT_AFTER) == "", "two in hand are not three"


def test_five_different_recipients_refused_in_a_row_are_not_the_recipients_fault():
    made = Window()
    for number in range(4):
        made.add_refusal(f"{number}@x.pe")
        made.add_refusal("0@x.pe")
    assert made.open_reason(now=0) == "", "the same one again says nothing new"
    made.add_refusal("4@x.pe")
    assert made.open_reason(now=0) == "5 destinatarios rechazados seguidos"
    made.clear()
    assert made.open_reason(now=0) == ""


def test_a_message_taken_in_between_shows_that_the_refusals_were_about_the_recipients():
    made = Window()
    for number in range(8):
        made.add_refusal(f"{number}@x.pe")
        if number == 3:
            made.add_taken()
    assert made.open_reason(now=0) == ""


@pytest.mark.parametrize("failed", [True, False])
def test_after_the_circuit_opens_new_evidence_is_needed(failed):
    made = window((0, 1, True), (1, 2, True), (2, 3, True))
    made.clear()
    assert made.open_reason(now=3) == ""
    made.begin(9, now=3)
    made.end(9, failed=failed, now=4)
    assert made.open_reason(now=4) == ""
