"""Races over contract 2, each also with the guard taken away that decides it: then the race must be lost.

All calls of a race are held between what they read and what they write, so that without the guard they all decide by
the same state. With it, the first holds the others back.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conftest import InformaperuClient, at_once, wait_until
from messaging.models import Message
from tokens import codes, decisions, services, sql
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = 8
HELD_SECONDS = 0.4
RIGHT = "A1B2"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold each decision until those of all calls are there, or for HELD_SECONDS."""

    def holding(decide: Callable[..., Any]) -> Callable[..., Any]:
        gate = threading.Barrier(CALLS)

        def decided(*values: Any, **named: Any) -> Any:
            with suppress(threading.BrokenBarrierError):  # the others wait for a lock
                gate.wait(HELD_SECONDS)
            return decide(*values, **named)

        return decided

    for name in ("request", "is_late"):
        monkeypatch.setattr(decisions, name, holding(getattr(decisions, name)))


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Codes that were compared. The right one is RIGHT."""
    found: list[str] = []
    matches = codes.matches
    monkeypatch.setattr(codes, "generate", lambda: RIGHT)

    def noting(id: UUID, digest: bytes, typed: str) -> bool:
        found.append(typed)
        return matches(id, digest, typed)

    monkeypatch.setattr(codes, "matches", noting)
    return found


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Take guards out of the statements of codes."""

    def take(*changes: tuple[str, str, str]) -> None:
        for name, guard, instead in changes:
            whole = getattr(sql, name)
            texts = whole if isinstance(whole, dict) else {None: whole}
            changed = {key: text.replace(guard, instead) for key, text in texts.items()}
            assert changed != texts, f"{name} has no {guard!r}"
            monkeypatch.setattr(sql, name, changed if isinstance(whole, dict) else changed[None])
        sql.issue.cache_clear()
        sql.accept.cache_clear()

    yield take
    sql.issue.cache_clear()
    sql.accept.cache_clear()


ROW_LOCK = "FOR NO KEY UPDATE"


def statuses(answers: list[Any]) -> Counter[tuple[int, str]]:
    return Counter((each.status_code, each.json().get("code", "")) for each in answers)


def asked(front: InformaperuClient) -> str:
    client = front.register()
    assert front.ask(client).status_code == 200
    return client


def test_wrong_codes(front, compared, held):
    client = asked(front)
    answers = at_once([partial(InformaperuClient().verify, client, f"ZZ{each}Z") for each in range(CALLS)])
    assert len(compared) == 5
    assert statuses(answers) == {
        (400, "ERR_INVALID_TOKEN"): 4,
        (400, "ERR_MAX_ATTEMPTS"): 1,
        (400, "ERR_NO_PENDING_TOKEN"): CALLS - 5,
    }


def test_wrong_codes_without_the_lock_of_the_applicant(front, compared, held, without):
    without(("_LOCK_WITH_LATEST", ROW_LOCK, ""))
    client = asked(front)
    at_once([partial(InformaperuClient().verify, client, f"ZZ{each}Z") for each in range(CALLS)])
    assert len(compared) > 5


def test_right_codes(front, compared, held):
    client = asked(front)
    answers = at_once([partial(InformaperuClient().verify, client, RIGHT)] * CALLS)
    assert statuses(answers) == {(200, ""): 1, (400, "ERR_NO_PENDING_TOKEN"): CALLS - 1}


def test_right_codes_without_the_locks(front, compared, held, without):
    without(("_LOCK_WITH_LATEST", ROW_LOCK, ""))
    client = asked(front)
    answers = at_once([partial(InformaperuClient().verify, client, RIGHT)] * CALLS)
    assert statuses(answers)[200, ""] > 1


def test_a_code_that_was_issued_while_its_verification_waited_for_the_lock(front, monkeypatch):
    """It is accepted, and its message is taken back, as if the verification had come later."""
    monkeypatch.setattr(codes, "generate", lambda: RIGHT)
    client, now = asked(front), timezone.now()
    VerificationToken.objects.update(created_at=now - timedelta(hours=1), expires_at=now - timedelta(minutes=57))
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            services.request(
                UUID(client), via="S", phone="987654321", operator="CLARO", origin=services.Origin(), at=now
            )
            verified = pool.submit(at_once, [partial(InformaperuClient().verify, client, RIGHT)])
            assert wait_until(_someone_waits_for_a_lock, 5)
        assert statuses(verified.result()) == {(200, ""): 1}
    latest = VerificationToken.objects.latest("created_at")
    assert latest.outcome == "VALIDADO"
    assert Message.objects.get(reference=latest.pk).state == "CANCELLED"


def _someone_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0] > 0


def test_clients_that_ask_for_one_number(front, held):
    clients = [front.register(documento=f"4000000{each}") for each in range(CALLS)]
    answers = at_once([partial(InformaperuClient().ask, each) for each in clients])
    assert statuses(answers) == {(200, ""): 1, (429, "ERR_COOLDOWN_ACTIVE"): CALLS - 1}


def test_clients_that_ask_for_one_number_without_the_lock_of_the_number(front, held, without):
    without(("_LOCK_BOTH", "pg_advisory_xact_lock(", "hashint8("))
    clients = [front.register(documento=f"4000000{each}") for each in range(CALLS)]
    answers = at_once([partial(InformaperuClient().ask, each) for each in clients])
    assert statuses(answers)[200, ""] > 1


def test_one_client_that_asks_for_many_numbers(front, held):
    client = front.register()
    answers = at_once([partial(InformaperuClient().ask, client, telefono=f"98765432{each}") for each in range(CALLS)])
    assert statuses(answers) == {(200, ""): 1, (429, "ERR_COOLDOWN_ACTIVE"): CALLS - 1}


def test_one_client_that_asks_for_many_numbers_without_the_lock_of_the_applicant(front, held, without):
    """The index of live codes still lets only one of them in; the others are faults and no refusals."""
    without(("_LOCK_BOTH", ROW_LOCK, ""))
    client = front.register()
    answers = at_once([partial(InformaperuClient().ask, client, telefono=f"98765432{each}") for each in range(CALLS)])
    found = statuses(answers)
    assert found[200, ""] == 1
    assert found[500, "ERR_INTERNAL"] >= 1
