"""Idempotency keys: safe retries."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clients.models import Applicant, AuditEntry, ExternalClient
from conftest import EXTERNAL_CLIENT, REGISTRATION, SMS, delivered_code
from external_api.models import IdempotentAnswer
from messaging.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture
def keyed(informa):
    return {**informa.headers, "Idempotency-Key": "pedido-1"}


def test_the_first_answer_is_given_again_byte_for_byte(front, keyed):
    client = front.register(keyed)
    headers = {**keyed, "Idempotency-Key": "otp-1"}
    first = front.ask(client, headers)
    again = front.ask(client, headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"]
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Message.objects.count() == 1


def test_the_same_key_with_another_body_or_path(front, keyed):
    client = front.register(keyed)
    for answer in (front.post("/client", REGISTRATION | {"nombres": "Ana"}, **keyed), front.ask(client, keyed)):
        assert (answer.status_code, answer.json()["code"]) == (422, "ERR_IDEMPOTENCY_CONFLICT")
    assert Applicant.objects.get().names == "Juan"


def test_contract_3_stores_its_answers_too(registrar):
    key = {"Idempotency-Key": "cliente-1"}
    first, again = (registrar.post(EXTERNAL_CLIENT, **key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content, "also its event_id"
    assert again["Idempotency-Replayed"] == "true"
    other = registrar.post(EXTERNAL_CLIENT | {"first_name": "Ana"}, **key)
    assert (other.status_code, other.json()["header"]["code"]) == (422, "422")
    assert ExternalClient.objects.get().first_name == "Juan"
    IdempotentAnswer.objects.update(status=None, body=None)
    running = registrar.post(EXTERNAL_CLIENT, **key)
    assert (running.status_code, running.json()["header"]["code"]) == (409, "409")
    assert AuditEntry.objects.filter(action__startswith="external_client").count() == 1
    for _ in range(2):
        wrong = registrar.post({}, **{"Idempotency-Key": "wrong"})
    assert (wrong.status_code, wrong["Idempotency-Replayed"]) == (400, "true")
    bad = registrar.post(EXTERNAL_CLIENT, **{"Idempotency-Key": "con espacio"})
    assert "Idempotency-Key" in bad.json()["content"]["errors"]["request"][0]


def test_while_the_first_still_runs(front, keyed):
    front.register(keyed)
    IdempotentAnswer.objects.update(status=None, body=None)
    answer = front.post("/client", REGISTRATION, **keyed)
    assert (answer.status_code, answer.json()["code"]) == (409, "ERR_IDEMPOTENCY_CONFLICT")


def test_a_call_that_died_frees_its_key_after_a_minute_and_an_answer_lapses_after_a_day(front, keyed):
    front.register(keyed)
    IdempotentAnswer.objects.update(status=None, created_at=timezone.now() - timedelta(seconds=61))
    assert front.post("/client", REGISTRATION, **keyed).status_code == 201
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert front.post("/client", REGISTRATION | {"nombres": "Ana"}, **keyed).status_code == 201


def test_final_errors_are_stored_and_temporary_ones_are_not(front, informa):
    faulty = {**informa.headers, "Idempotency-Key": "faulty"}
    assert front.post("/client", {}, **faulty).status_code == 400
    assert front.post("/client", {}, **faulty)["Idempotency-Replayed"] == "true"
    client = front.register(informa.headers)
    front.ask(client, informa.headers)
    early = {**informa.headers, "Idempotency-Key": "early"}
    assert front.ask(client, early).status_code == 429
    assert not IdempotentAnswer.objects.filter(key="early").exists()


def test_a_key_belongs_to_its_partner(front, keyed, stranger):
    front.register(keyed)
    theirs = {**stranger.headers, "Idempotency-Key": keyed["Idempotency-Key"]}
    assert "Idempotency-Replayed" not in front.post("/client", REGISTRATION | {"nombres": "Ana"}, **theirs)


def test_without_a_credential_and_on_queries_the_header_is_ignored(front, keyed):
    front.register({"Idempotency-Key": "x"})
    assert not IdempotentAnswer.objects.exists()
    client = front.register(keyed)
    front.get(f"/client/{client}/cooldown/S", **{**keyed, "Idempotency-Key": "q"})
    front.get("/status", **keyed)
    assert IdempotentAnswer.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "con espacio", "ñ"])
def test_a_malformed_key(front, informa, key):
    answer = front.post("/client", REGISTRATION, **{**informa.headers, "Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "ERR_VALIDATION")
    assert "Idempotency-Key" in answer.json()["message"]


def test_the_stored_answer_holds_no_code(front, keyed):
    client = front.register(keyed)
    front.ask(client, {**keyed, "Idempotency-Key": "otp"}, **SMS)
    stored = bytes(IdempotentAnswer.objects.get(key="otp").body)
    assert b"token_id" in stored
    assert delivered_code().encode() not in stored
