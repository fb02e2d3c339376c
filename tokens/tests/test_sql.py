"""Hand-written statements: they read and write what the ORM would, over random histories."""

import random
from dataclasses import asdict
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models.fields import NOT_PROVIDED

from clients.models import Applicant
from conftest import NOW, make_applicant
from messaging.models import Message
from tests.factories import LadderForgivenessFactory, VerificationTokenFactory
from tokens import cooldown_queries, decisions, destinations, services, sql
from tokens.cooldown import Ladders
from tokens.models import VerificationToken

pytestmark = pytest.mark.django_db

PHONES = ("987654321", "912345678")
MAILBOXES = ("ana.paz@gmail.com", "anapaz+x@googlemail.com", "ana@example.com", "ana+1@example.com")
OUTCOMES = ("SIN_RESPUESTA", "EXPIRADO", "FALLIDO", "CANCELADO", "REEMPLAZADO", "VALIDADO", "NO_ENVIADO")


@pytest.fixture(params=range(25))
def history(request, informa, stranger):
    """Six applicants of two partners and none, with codes, forgiveness and proofs of the last days."""
    chance = random.Random(request.param)
    people = []
    for number, partner in enumerate(
        [informa.partner, informa.partner, stranger.partner, stranger.partner, None, None]
    ):
        person = make_applicant(
            partner=partner,
            document_number=f"4000000{number}",
            email=chance.choice(MAILBOXES),
            wrong_codes_in_a_row=number,
            forgotten_at=NOW if number == 5 and chance.random() < 0.3 else None,
        )
        people.append(person)
        if chance.random() < 0.4:
            via = chance.choice("SC")
            Applicant.objects.filter(pk=person.pk).update(
                state="VALIDADO",
                validated_at=_ago(chance),
                proved_via=via,
                proved_destination=chance.choice(PHONES if via == "S" else MAILBOXES),
            )
    for _ in range(30):
        via, at, outcome = chance.choice("SSCW"), _ago(chance), chance.choice(OUTCOMES)
        VerificationTokenFactory(
            applicant=chance.choice(people),
            via=via,
            destination=chance.choice(MAILBOXES if via == "C" else PHONES),
            created_at=at,
            outcome=outcome,
        )
    for _ in range(2):
        via = chance.choice("SCW")
        LadderForgivenessFactory(
            applicant=chance.choice(people),
            via=via,
            destination=chance.choice(MAILBOXES if via == "C" else PHONES),
            at=_ago(chance),
        )
    return people


def _ago(chance):
    return NOW - timedelta(seconds=chance.randrange(-30, 3 * 86_400))


def _by_the_orm(person, via, phone):
    destination = person.email if via == "C" else phone
    latest = VerificationToken.objects.filter(applicant=person).order_by("-created_at").first()
    at = NOW if latest is None else max(NOW, latest.created_at + timedelta(microseconds=1))
    proofs = Applicant.objects.filter(proved_destination=destination, partner=person.partner_id, state="VALIDADO")
    proved = proofs.exclude(pk=person.pk).order_by("-validated_at").first()
    return (
        destination,
        latest and latest.pk,
        cooldown_queries.read(person.pk, via, destination, at=at),
        proved and proved.pk,
    )


def test_the_rows_that_decide_about_a_request(history):
    for person in history:
        for via, phone in (("S", PHONES[0]), ("S", PHONES[1]), ("W", PHONES[0]), ("C", "")):
            found = sql.lock_and_read(person.pk, person.partner_id, via, phone, at=NOW)
            if person.forgotten_at is not None:
                assert found is None
                continue
            same = Applicant.objects.get(pk=person.pk)
            assert all(getattr(found.person, name) == getattr(same, name) for name in sql._PERSON)
            latest = found.latest and found.latest.id
            at = NOW if found.latest is None else max(NOW, found.latest.created_at + decisions.NEXT_MOMENT)
            ladders = Ladders.of(found.requests, at=at)
            assert (found.destination, latest, ladders, found.proved_before_by) == _by_the_orm(same, via, phone)
            if found.latest:
                other = VerificationToken.objects.get(pk=latest)
                assert all(getattr(found.latest, name) == getattr(other, name) for name in sql._CODE)


def test_another_partner_s_applicant_is_not_found(history, informa, stranger):
    mine, theirs = history[0], history[2]
    assert sql.lock_and_read(theirs.pk, informa.partner.pk, "S", PHONES[0], at=NOW) is None
    assert sql.lock_and_read_latest(theirs.pk, None) is None
    assert sql.lock_and_read_latest(mine.pk, None) is None
    assert sql.lock_and_read_latest(uuid4(), informa.partner.pk) is None
    assert sql.lock_and_read_latest(mine.pk, informa.partner.pk).person.id == mine.pk


@pytest.mark.parametrize(("via", "destination"), [("S", PHONES[0]), ("C", "ana.paz@gmail.com")])
def test_both_locks_are_held_to_the_end_of_the_transaction(via, destination):
    person = make_applicant(email="ana.paz@gmail.com")
    with transaction.atomic():
        sql.lock_and_read(person.pk, None, via, PHONES[0], at=NOW)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""SELECT (classid::bigint << 32 | objid::bigint)
                           = hashtextextended(%s || ':' || {destinations.KEY}(%s), 0)
                    FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1""",
                [via, destination],
            )
            assert cursor.fetchall() == [(True,)]
            cursor.execute("SELECT xmax <> '0' FROM clients_applicant WHERE id = %s", [person.pk])
            assert cursor.fetchone() == (True,), "the applicant's row is locked"


@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_a_code_and_its_message_are_written_whole(informa, settings, monkeypatch, via):
    """Each column that the statement leaves out has the model's default."""
    settings.AVAL_GATEWAYS = dict.fromkeys("SWIC", ("sandbox://",))
    settings.AVAL_FALLBACK = {"S": ("W", 30), "W": None}
    person = make_applicant(partner=informa.partner)
    origin = services.Origin(informa.partner, informa.partner.credentials.first(), 77)
    phone = "" if via == "C" else PHONES[0]
    issued, insert = [], sql.insert_token_and_message
    monkeypatch.setattr(sql, "insert_token_and_message", lambda code, *more: issued.append(code) or insert(code, *more))
    services.request(person.pk, via=via, phone=phone, operator="CLARO", origin=origin, at=NOW)
    made = VerificationToken(**asdict(issued[0]))
    kept, message = VerificationToken.objects.get(), Message.objects.get()
    for field in VerificationToken._meta.concrete_fields:
        assert getattr(kept, field.attname) == getattr(made, field.attname), field.name
    said = {
        "partner_id",
        "credential_id",
        "request_id",
        "kind",
        "via",
        "recipient",
        "subject",
        "text",
        "html",
        "sealed",
        "kept_until",
        "next_attempt_at",
        "send_before",
        "reference",
        "created_at",
        "id",
    }
    for field in Message._meta.concrete_fields:
        value = getattr(message, field.attname)
        if field.attname not in said:
            default = "" if field.default is NOT_PROVIDED and not field.null else field.get_default()
            assert value == default, field.name
    assert (message.partner, message.credential, message.request_id) == (informa.partner, origin.credential, 77)
    assert (message.reference, message.via, message.created_at, message.next_attempt_at) == (kept.pk, via, NOW, NOW)
    assert message.recipient == kept.destination == (person.email if via == "C" else PHONES[0])
    assert message.send_before == kept.expires_at - services.MIN_TIME_LEFT
    assert message.kept_until == (message.send_before if via == "S" else None)
    assert message.sealed
