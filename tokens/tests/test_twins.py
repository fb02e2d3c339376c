"""Clock, ladder and rows of a test twin below HTTP."""

import functools
import re
import time
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clients import twins
from clients.models import Applicant
from conftest import NOW, at_once
from messaging.delivery import send
from messaging.models import Message
from testkit.codes import request_code
from tests.factories import (
    ApplicantFactory,
    AuthorizedClientFactory,
    LadderForgivenessFactory,
    MessageFactory,
    PartnerFactory,
    VerificationTokenFactory,
)
from tokens import cooldown_overrides, cooldown_queries, destinations
from tokens.errors import CooldownActive
from tokens.models import LadderForgiveness, VerificationToken
from tokens.services import Origin
from tokens.twins import clock, rows, sql

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
REAL = {
    "clients_applicant": {"forgotten_at"},
    "clients_authorizedclient": {"forgotten_at"},
    "messaging_message": {"lease_until"},
}
"""Moments that are none of a test: claims of workers, and when a row was blanked."""


@pytest.fixture
def twin():
    return twins.twin_of(PartnerFactory(name="Andina"), at=NOW, by="eva")


def ask(applicant, partner, at, via="S", phone="987654321"):
    return request_code(applicant.pk, via=via, phone=phone, operator="CLARO", origin=Origin(partner), at=at)


def test_the_clock_knows_every_moment_of_the_tables_that_it_moves():
    for statement in sql.MOVE_BACK.values():
        (table,) = re.findall(r"^UPDATE (\w+) SET", statement)
        (model,) = [each for each in apps.get_models() if each._meta.db_table == table and not each._meta.proxy]
        moments = {each.column for each in model._meta.concrete_fields if isinstance(each, models.DateTimeField)}
        moved = set(re.findall(r"(\w+) = (?:\w+ - %|CASE)", statement))
        assert moments - moved == REAL.get(table, set()), table


def test_it_moves_the_rows_of_one_twin_and_nothing_else(twin):
    other = twins.twin_of(PartnerFactory(name="Otra"), at=NOW, by="eva")
    made = {}
    for partner in (twin, other, PartnerFactory(name="Andina")):
        person = ApplicantFactory(partner=partner, created_at=NOW)
        own = partner if partner.is_twin else None
        token = VerificationTokenFactory(applicant=person, twin=own, created_at=NOW, outcome="EXPIRADO")
        forgiven = LadderForgivenessFactory(applicant=person, twin=own, at=NOW)
        message = MessageFactory(partner=partner, reference=token.pk, created_at=NOW)
        made[partner] = (person, token, message, AuthorizedClientFactory(partner=partner, created_at=NOW), forgiven)
    clock.advance(twin.pk, HOUR, at=NOW)
    for partner, kept in made.items():
        expected = NOW - HOUR if partner == twin else NOW
        for row in kept:
            row.refresh_from_db()
            assert (row.at if isinstance(row, LadderForgiveness) else row.created_at) == expected, row


def test_what_a_worker_has_keeps_its_lease(twin):
    ask(ApplicantFactory(partner=twin), twin, NOW)
    [message] = send.claim("codes", at=NOW)
    before = Message.objects.filter(pk=message.pk).values("claim_id", "lease_until", "handed_over_at").get()
    clock.advance(twin.pk, timedelta(seconds=60), at=NOW)
    after = Message.objects.get(pk=message.pk)
    assert Message.objects.filter(pk=message.pk).values("claim_id", "lease_until", "handed_over_at").get() == before
    assert (after.state, after.created_at) == ("SENDING", NOW - timedelta(seconds=60))


def test_time_does_what_it_would_have_done(twin):
    """A code that was never sent ends as one, and gives its rung back; one that was sent ends without an answer."""
    unsent, sent = ApplicantFactory(partner=twin), ApplicantFactory(partner=twin)
    first = ask(sent, twin, timezone.now(), phone="912345001")
    while send.deliver_due("codes"):
        pass
    second = ask(unsent, twin, timezone.now(), phone="912345002")
    clock.advance(twin.pk, timedelta(minutes=3), at=timezone.now())
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.outcome, second.outcome) == ("SIN_RESPUESTA", "NO_ENVIADO")
    assert (first.returned_at is None, second.returned_at is None) == (True, False)
    assert Message.objects.get(reference=second.pk).state == "EXPIRED"


@pytest.mark.django_db(transaction=True)
def test_a_code_on_its_way_leaves_before_its_time_is_skipped(twin):
    """As it would have with a worker that is a moment late; else the example of the guide fails now and then."""
    token = ask(ApplicantFactory(partner=twin), twin, timezone.now(), phone="912345001")

    def late_worker():
        time.sleep(0.3)
        while send.deliver_due("codes"):
            pass

    at_once([late_worker, lambda: clock.advance(twin.pk, timedelta(minutes=3), at=timezone.now())])
    token.refresh_from_db()
    assert (token.outcome, token.returned_at) == ("SIN_RESPUESTA", None)
    assert Message.objects.get().sent_at is not None


def test_others_codes_are_not_swept_by_it(twin):
    live = PartnerFactory(name="Andina")
    token = ask(ApplicantFactory(partner=live), live, NOW - HOUR)
    clock.advance(twin.pk, HOUR, at=NOW)
    token.refresh_from_db()
    assert token.outcome == "PENDIENTE"
    assert Message.objects.get().state == "QUEUED"


def test_a_client_that_calls_the_clock_for_ever_does_not_leave_the_calendar(twin):
    person = ApplicantFactory(partner=twin, created_at=NOW.replace(year=1999))
    clock.advance(twin.pk, clock.MOST, at=NOW)
    assert Applicant.objects.get(pk=person.pk).created_at == NOW.replace(year=1999)


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_take_one_rung(twin):
    people = [ApplicantFactory(partner=twin) for _ in range(20)]

    def once(person):
        try:
            return bool(ask(person, twin, NOW))
        except CooldownActive:
            return False

    assert sum(at_once([functools.partial(once, each) for each in people])) == 1


def test_forgiving_a_twin_forgives_no_live_number_and_counts_apart(twin):
    tested, live = ApplicantFactory(partner=twin), ApplicantFactory()
    ask(tested, twin, NOW)
    ask(live, None, NOW)
    made = cooldown_overrides.forgive(tested, "S", by="eva", reason="x", at=NOW + HOUR)
    assert made.twin == twin
    ladders = cooldown_queries.read(live.pk, "S", "987654321", at=NOW + HOUR)
    assert ladders.destination.attempts_24h == 1
    ladders = cooldown_queries.read(tested.pk, "S", "987654321", twin=twin.pk, at=NOW + HOUR)
    assert ladders.destination.attempts_24h == 0
    for _ in range(cooldown_overrides.MAX_FORGIVEN_A_DAY - 1):
        cooldown_overrides.forgive(tested, "S", by="eva", reason="x", at=NOW + HOUR)
    with pytest.raises(cooldown_overrides.ForgivenTooOften):
        cooldown_overrides.forgive(tested, "S", by="eva", reason="x", at=NOW + HOUR)
    assert cooldown_overrides.forgive(live, "S", by="eva", reason="x", at=NOW + HOUR).twin is None


def test_a_ladder_is_locked_by_the_key_that_it_is_read_by(twin):
    """The erasure of a person locks the ladders of their codes, as requests do."""
    person = ApplicantFactory(partner=twin)
    VerificationTokenFactory(
        applicant=person, twin=twin, via="C", destination="a.b+1@gmail.com", created_at=NOW, outcome="EXPIRADO"
    )
    VerificationTokenFactory(
        applicant=ApplicantFactory(), via="C", destination="a.b+1@gmail.com", created_at=NOW, outcome="EXPIRADO"
    )
    found = VerificationToken.objects.values_list("via", destinations.key_on_its_ladder(), "twin_id")
    assert set(found) == {("C", "a.b+1@gmail.com", twin.pk), ("C", "ab@gmail.com", None)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtextextended(%s, 0)", [f"t{twin.pk}:C:a.b+1@gmail.com"])
        (key,) = cursor.fetchone()
        destinations.lock_all(found)
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND ((classid::bigint << 32) | objid::bigint) = %s",
            [key],
        )
        assert cursor.fetchone() == (1,)


def test_a_request_of_a_twin_takes_as_many_statements_as_a_live_one(twin):
    counts = []
    for partner in (PartnerFactory(name="Andina"), twin):
        person = ApplicantFactory(partner=partner)
        with CaptureQueriesContext(connection) as asked:
            ask(person, partner, NOW)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_the_rows_of_a_twin_are_found_by_indexes(twin):
    """Its statements read tables of all partners."""
    params = {"twin": twin.pk, "by": HOUR, "at": NOW, "most": 10}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for name, statement in (sql.MOVE_BACK | {f"{key} deleted": text for key, text in sql.EMPTY.items()}).items():
            cursor.execute(f"EXPLAIN {statement}", params)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan" not in plan, (name, plan)
        cursor.execute(f"EXPLAIN {sql.IS_FULL}", params)
        assert "Seq Scan" not in "\n".join(row[0] for row in cursor.fetchall())


FILL = (
    """
    INSERT INTO tokens_verificationtoken (
        id, applicant_id, twin_id, via, destination, operator, code_hmac, wrong_tries, created_at, expires_at, outcome,
        finished_at, client_attempt, client_wait, destination_attempt, destination_wait
    ) SELECT gen_random_uuid(), %(applicant)s, %(twin)s, 'S', '9' || each, '', '', 0,
        %(at)s, %(at)s, 'EXPIRADO', %(at)s, 1, '0', 1, '0' FROM generate_series(1, %(most)s) AS each
    """,
    """
    INSERT INTO messaging_message (
        id, partner_id, kind, via, recipient, subject, text, html, state, attempts, next_attempt_at, provider,
        provider_id, provider_reply, reference, created_at
    ) SELECT gen_random_uuid(), twin_id, 'verificacion', 'S', destination, '', '', '', 'SENT', 1, created_at, '', '',
        '', id, created_at FROM tokens_verificationtoken WHERE twin_id = %(twin)s
    """,
    """
    INSERT INTO messaging_messageevent (message_id, at, state, attempt, provider, detail)
    SELECT id, created_at, state, 1, '', '' FROM messaging_message CROSS JOIN generate_series(1, 3)
    WHERE partner_id = %(twin)s AND state = 'SENT'
    """,
)


def test_a_twin_that_holds_the_most_is_moved_and_emptied_within_the_time_of_a_statement(twin):
    person = ApplicantFactory(partner=twin)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # to fill it; the limit is for what follows
        for fill in FILL:
            cursor.execute(fill, {"applicant": person.pk, "twin": twin.pk, "at": NOW, "most": twins.MOST_ROWS})
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("RESET statement_timeout")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("5s",)
    with pytest.raises(twins.TwinIsFull):
        rows.check_room(twin.pk)
    clock.advance(twin.pk, HOUR, at=NOW)
    assert rows.empty(twin.pk, at=NOW) == 5 * twins.MOST_ROWS + 1
    rows.check_room(twin.pk)
