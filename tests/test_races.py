"""A hundred concurrent calls for one client have the same effect as sequential ones."""

import json
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from config.run.processes import wait_until
from testkit.stack import Asked, Call, Stack, code_in
from tokens.codes import ALPHABET

CALLS = 100


@pytest.fixture(autouse=True)
def no_deadlock(stack: Stack) -> Iterator[None]:
    """No test may cause a deadlock, which a different order of locks would cause sooner or later."""
    before = _deadlocks(stack)
    yield
    assert _deadlocks(stack) == before


def _deadlocks(stack: Stack) -> tuple[int, int]:
    """Deadlocks in PostgreSQL's log, which is exact, and in its statistics, which sessions report when idle."""
    rows = stack.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'aval'")
    return stack.logs()["postgres.log"].count("deadlock detected"), rows[0][0]


@pytest.fixture
def asked(stack: Stack) -> Asked:
    """A client whose code has arrived."""
    each = stack.asked()
    stack.code_soon(each.phone)
    return each


def counted(answers: list[httpx.Response]) -> Counter[tuple[int, str]]:
    """Number of answers by status and code."""
    return Counter((each.status_code, each.json().get("code", "")) for each in answers)


def assert_two_minutes_to_wait(answers: list[httpx.Response]) -> None:
    """All refused calls, also those whose clock was read before the accepted one's."""
    refused = [each for each in answers if each.status_code == 429]
    assert {int(each.headers["Retry-After"]) for each in refused} <= {118, 119, 120}
    assert {each.json()["message"] for each in refused} == {"Límite de intentos alcanzado. Debe esperar 2 minutos."}


def token_rows(stack: Stack, client: str) -> list[tuple[str, int]]:
    return stack.sql(  # type: ignore[return-value]
        "SELECT outcome, wrong_tries FROM tokens_verificationtoken WHERE applicant_id = %s ORDER BY created_at", client
    )


def wrong_codes(right: str) -> list[str]:
    return [code for code in (f"{a}{b}ZZ" for a in ALPHABET for b in ALPHABET) if code != right][:CALLS]


def test_of_100_wrong_codes_at_once_exactly_five_are_compared(stack: Stack, asked: Asked) -> None:
    wrong = wrong_codes(stack.code_soon(asked.phone))
    answers = stack.send_together([stack.verifying(asked.client, code) for code in wrong])
    assert counted(answers) == {
        (400, "ERR_INVALID_TOKEN"): 4,
        (400, "ERR_MAX_ATTEMPTS"): 1,
        (400, "ERR_NO_PENDING_TOKEN"): CALLS - 5,
    }
    left = [each.json()["data"]["attempts_remaining"] for each in answers if "data" in each.json()]
    assert sorted(left) == [1, 2, 3, 4]
    assert token_rows(stack, asked.client) == [("FALLIDO", 5)]
    assert stack.sql("SELECT wrong_codes_in_a_row FROM clients_applicant WHERE id = %s", asked.client) == [(5,)]


def test_of_100_right_codes_at_once_one_is_accepted(stack: Stack, asked: Asked) -> None:
    code = stack.code_soon(asked.phone)
    answers = stack.send_together([stack.verifying(asked.client, code)] * CALLS)
    assert counted(answers) == {(200, ""): 1, (400, "ERR_NO_PENDING_TOKEN"): CALLS - 1}
    assert token_rows(stack, asked.client) == [("VALIDADO", 0)]


def test_a_right_code_among_wrong_ones_is_accepted_once_or_came_too_late(stack: Stack, asked: Asked) -> None:
    code = stack.code_soon(asked.phone)
    tried = [code if n % 10 == 5 else wrong for n, wrong in enumerate(wrong_codes(code))]
    answers = counted(stack.send_together([stack.verifying(asked.client, each) for each in tried]))
    (outcome, tries) = token_rows(stack, asked.client)[0]
    assert answers[200, ""] == (outcome == "VALIDADO")
    assert answers[400, "ERR_MAX_ATTEMPTS"] == (outcome == "FALLIDO")
    assert answers[400, "ERR_INVALID_TOKEN"] == tries - (outcome == "FALLIDO")
    assert sum(answers.values()) == CALLS == answers[400, "ERR_NO_PENDING_TOKEN"] + tries + (outcome == "VALIDADO")


def test_of_100_requests_of_one_client_at_once_one_is_sent(stack: Stack) -> None:
    client, phone = stack.register(), stack.phone()
    answers = stack.send_together([stack.asking(client, phone)] * CALLS)
    assert counted(answers) == {(200, ""): 1, (429, "ERR_COOLDOWN_ACTIVE"): CALLS - 1}
    assert_two_minutes_to_wait(answers)
    assert token_rows(stack, client) == [("PENDIENTE", 0)]
    stack.code_soon(phone)
    assert stack.arrivals([Asked(client, phone)]) == {phone: 1}


def test_20_clients_that_ask_for_one_number_at_once_take_one_rung(stack: Stack) -> None:
    clients, phone = [stack.register() for _ in range(20)], stack.phone()
    answers = stack.send_together([stack.asking(client, phone) for client in clients])
    assert counted(answers) == {(200, ""): 1, (429, "ERR_COOLDOWN_ACTIVE"): 19}
    assert_two_minutes_to_wait(answers)
    assert stack.sql("SELECT count(*) FROM tokens_verificationtoken WHERE destination = %s", phone) == [(1,)]


def test_one_client_that_asks_for_20_numbers_at_once_is_sent_one_code(stack: Stack) -> None:
    client, phones = stack.register(), [stack.phone() for _ in range(20)]
    answers = stack.send_together([stack.asking(client, phone) for phone in phones])
    assert counted(answers) == {(200, ""): 1, (429, "ERR_COOLDOWN_ACTIVE"): 19}
    assert_two_minutes_to_wait(answers)
    assert token_rows(stack, client) == [("PENDIENTE", 0)]


def test_20_registrations_of_one_person_at_once_are_one_client(stack: Stack) -> None:
    person = stack.person()
    answers = stack.send_together([Call("POST", "/client", person)] * 20)
    assert counted(answers) == {(201, ""): 20}
    assert len({each.json()["data"]["id"] for each in answers}) == 1
    count = stack.sql("SELECT count(*) FROM clients_applicant WHERE document_number = %s", person["documento"])
    assert count == [(1,)]


def test_one_idempotency_key_50_times_at_once_has_one_effect(stack: Stack) -> None:
    made = json.loads(stack.manage("create_partner", f"Retry {stack.number()}", "--json"))
    partner = {"Authorization": f"Bearer {made['token']}"}
    client, phone = stack.register(partner), stack.phone()
    keyed = partner | {"Idempotency-Key": f"retry-{client}"}
    answers = stack.send_together([stack.asking(client, phone, **keyed)] * 50)
    statuses = Counter(each.status_code for each in answers)
    assert statuses[200] >= 1
    assert statuses[200] + statuses[409] == 50, statuses
    later = stack.ask(client, phone, **keyed)
    assert (later.status_code, later.headers["Idempotency-Replayed"]) == (200, "true")
    assert {each.content for each in answers if each.status_code == 200} == {later.content}
    assert {each.json()["code"] for each in answers if each.status_code == 409} <= {"ERR_IDEMPOTENCY_CONFLICT"}
    assert token_rows(stack, client) == [("PENDIENTE", 0)]
    stack.code_soon(phone)
    assert stack.arrivals([Asked(client, phone)]) == {phone: 1}


def _all_calls(stack: Stack, each: Asked) -> list[Call]:
    """All kinds of calls for one client: right and wrong codes, cancel, expire, new requests."""
    code = stack.code_soon(each.phone)
    path = f"/client/{each.client}"
    calls = [
        *[stack.verifying(each.client, wrong) for wrong in wrong_codes(code)[:4]],
        *[stack.verifying(each.client, code)] * 4,
        *[Call("POST", f"{path}/cancel")] * 4,
        *[Call("POST", f"{path}/expire")] * 4,
        *[stack.asking(each.client, each.phone, via) for via in "WICSWIC"],
        *[Call("GET", f"{path}/cooldown/S")] * 2,
    ]
    first = int(each.phone) * 5 % len(calls)  # the first call is another one each time
    return calls[first:] + calls[:first]


def test_all_acts_on_one_client_at_once_come_to_one_consistent_end(stack: Stack) -> None:
    for each in stack.many_asked(8):
        calls = _all_calls(stack, each)
        answers = stack.send_together(calls)
        assert max(answer.status_code for answer in answers) < 500, counted(answers)
        rows = token_rows(stack, each.client)
        done = Counter(call.act for call, answer in zip(calls, answers, strict=True) if answer.status_code == 200)
        outcomes = Counter(outcome for outcome, _ in rows)
        assert len(rows) == 1 + done["token"], "a code for each request that was accepted, none for the others"
        assert outcomes["VALIDADO"] == done["verify"] <= 1
        assert outcomes["CANCELADO"] == done["cancel"]
        assert outcomes["PENDIENTE"] <= 1
        assert outcomes["EXPIRADO"] == outcomes["SIN_RESPUESTA"] == done["expire"] == 0, "none was old enough"
        state = stack.sql("SELECT state FROM clients_applicant WHERE id = %s", each.client)[0][0]
        assert state == ("VALIDADO" if done["verify"] else "PENDIENTE")
        if done["verify"]:
            assert outcomes["PENDIENTE"] == 0, "nothing is left to prove"


def test_of_codes_asked_for_by_every_way_at_once_the_last_one_counts(stack: Stack) -> None:
    """The request that was accepted last is the live one, and its code can be verified."""
    for _ in range(8):
        client, phone = stack.register(), stack.phone()
        answers = stack.send_together([stack.asking(client, phone, via) for via in "SWIC"])
        assert counted(answers) == {(200, ""): 4}
        outcomes = Counter(outcome for outcome, _ in token_rows(stack, client))
        assert outcomes == {"PENDIENTE": 1, "REEMPLAZADO": 3}
        assert wait_until(lambda client=client: _live_code(stack, client), 10)  # type: ignore[misc]
        answer = stack.verify(client, _live_code(stack, client))
        assert answer.status_code == 200, answer.text


def _live_code(stack: Stack, client: str) -> str:
    """The code of the client's one pending token, "" until it has arrived."""
    rows = stack.sql(
        "SELECT s.text, m.text FROM tokens_verificationtoken t JOIN messaging_message m ON m.reference = t.id"
        " JOIN messaging_sandboxmessage s ON s.message_id = m.id"
        " WHERE t.applicant_id = %s AND t.outcome = 'PENDIENTE'",
        client,
    )
    return code_in(*rows[0]) if rows else ""


def test_a_code_that_ended_before_it_left_does_not_leave(stack: Stack) -> None:
    """Codes cancelled while the worker is frozen are not sent when it continues."""
    stack.worker.freeze()
    asked = stack.many_asked(5)
    stack.send_together([Call("POST", f"/client/{each.client}/cancel") for each in asked])
    stack.worker.thaw()
    later = stack.asked()
    stack.code_soon(later.phone)
    assert set(stack.arrivals(asked).values()) == {0}
    assert set(stack.states(asked).values()) == {"CANCELLED"}
