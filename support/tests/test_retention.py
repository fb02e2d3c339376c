"""Retention: a row is removed to the second when its period is over, and live rows are kept."""

import importlib
import logging
from datetime import timedelta
from io import StringIO

import pytest
from axes.models import AccessAttempt
from celery import current_app
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from clients.events.models import EventType, PartnerEvent
from clients.events.writing import write_event
from clients.models import Applicant, AuthorizedClient, LoginAddress, LoginFailures
from clients.retention import BATCH, RetentionRule
from conftest import NOW, at_once, make_applicant
from external_api.models import ApiRequest, IdempotentAnswer
from messaging.models import (
    Message,
    MessageEvent,
    ProviderEvent,
    ProviderReceipt,
    RateCount,
    RecipientFeedback,
    SandboxMessage,
    Suppression,
)
from metrics.models import MetricMinute
from subscription.models import ConsentRecord, SubscriptionRequest
from support.privacy import retention
from tests.factories import (
    ApiRequestFactory,
    AuthorizedClientFactory,
    CampaignFactory,
    ConsentRecordFactory,
    DeliveryFactory,
    LadderForgivenessFactory,
    MessageEventFactory,
    MessageFactory,
    PartnerFactory,
    RecipientFeedbackFactory,
    SubscriptionRequestFactory,
    SuppressionFactory,
    VerificationTokenFactory,
)
from tests.plans import drop_other_indexes
from tokens.cooldown import LOOK_BACK
from tokens.models import LadderForgiveness, VerificationToken
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
PHONE = "987654321"


def days(name):
    return timedelta(days=settings.AVAL_KEEP_DAYS[name])


def run(**changes):
    return retention.run(**{"at": NOW, "seconds": 30.0, **changes})


def kind(name):
    return next(each for each in retention.RULES if each.name == name)


def message(at=NOW, **changes):
    fields = {
        "recipient": PHONE,
        "subject": "s",
        "html": "h",
        "state": "SENT",
        "provider": "lejano",
        "provider_id": "x1",
        "provider_reply": "ok +51987654321 para juan@dominio.com",
        "request_id": 7,
    }
    made = MessageFactory(created_at=at, **{**fields, **changes})
    MessageEventFactory(message=made, detail=f"a {PHONE}")
    return made


def token(applicant, at=NOW, **changes):
    fields = {"destination": PHONE, "outcome": "SIN_RESPUESTA"}
    return VerificationTokenFactory(applicant=applicant, created_at=at, **{**fields, **changes})


def client(ended=None, **changes):
    fields = {
        "email": "ana@dominio.com",
        "name": "Ana Díaz",
        "document_type": "DNI",
        "document_number": "44556677",
        "phone": PHONE,
        "created_at": NOW - timedelta(days=2000),
        "deauthorized_at": ended,
    }
    return AuthorizedClientFactory(partner=PartnerFactory(name="Banco"), **{**fields, **changes})


def link(at):
    return SubscriptionRequestFactory(requested_at=at)


def consent(of, at, **changes):
    return ConsentRecordFactory(authorized_client=of, at=at, **changes)


def log_row(at):
    user, _ = User.objects.get_or_create(username="eva")
    entry = LogEntry.objects.create(user=user, action_flag=1, object_repr="DNI 1")
    LogEntry.objects.filter(pk=entry.pk).update(action_time=at)


def attempt(at):
    made = AccessAttempt.objects.create(
        username=f"u{at}", ip_address="192.0.2.1", user_agent="", failures_since_start=1
    )
    AccessAttempt.objects.filter(pk=made.pk).update(attempt_time=at)


def request(at):
    return ApiRequestFactory(created_at=at)


GONE = {
    "messages": (message, lambda: Message.objects.filter(recipient="").count()),
    "codes": (lambda at: token(make_applicant(), at), lambda: VerificationToken.objects.filter(destination="").count()),
    "forgiveness": (lambda at: LadderForgivenessFactory(at=at), lambda: 1 - LadderForgiveness.objects.count()),
    "pending": (
        lambda at: make_applicant(created_at=at, updated_at=at),
        lambda: Applicant.all_objects.count() - Applicant.objects.count(),
    ),
    "validated": (
        lambda at: make_applicant(
            created_at=at, updated_at=at, state="VALIDADO", validated_at=at, proved_via="S", proved_destination=PHONE
        ),
        lambda: Applicant.all_objects.count() - Applicant.objects.count(),
    ),
    "deauthorized": (client, lambda: AuthorizedClient.all_objects.count() - AuthorizedClient.objects.count()),
    "links": (link, lambda: 1 - SubscriptionRequest.objects.count()),
    "consents": (lambda at: consent(client(at), at - SECOND), lambda: 1 - ConsentRecord.objects.count()),
    "requests": (request, lambda: 1 - ApiRequest.objects.count()),
    "answers": (
        lambda at: IdempotentAnswer.objects.create(
            partner=PartnerFactory(name="B"), contract="registry", key="k", fingerprint=b"", created_at=at
        ),
        lambda: 1 - IdempotentAnswer.objects.count(),
    ),
    "receipts": (
        lambda at: ProviderReceipt.objects.create(provider="p", provider_id="1", state="DELIVERED", at=at),
        lambda: 1 - ProviderReceipt.objects.count(),
    ),
    "feedback": (
        lambda at: RecipientFeedbackFactory(at=at),
        lambda: RecipientFeedback.objects.filter(mailbox="", detail="").count(),
    ),
    "events": (
        lambda at: write_event(PartnerFactory().pk, EventType.KEY_EXPIRING, "1", {}, at=at),
        lambda: 1 - PartnerEvent.objects.count(),
    ),
    "deliveries": (lambda at: DeliveryFactory(at=at), lambda: 1 - Delivery.objects.count()),
    "suppressions": (lambda at: SuppressionFactory(lifted_at=at), lambda: 1 - Suppression.objects.count()),
    "provider_events": (
        lambda at: ProviderEvent.objects.create(provider="p", at=at, what="restored"),
        lambda: 1 - ProviderEvent.objects.count(),
    ),
    "sandbox": (
        lambda at: SandboxMessage.objects.create(message_id="0" * 32, via="S", to=PHONE, text="Q7ZX", created=at),
        lambda: 1 - SandboxMessage.objects.count(),
    ),
    "sessions": (
        lambda at: Session.objects.create(session_key="k", session_data="", expire_date=at),
        lambda: 1 - Session.objects.count(),
    ),
    "logins": (attempt, lambda: 1 - AccessAttempt.objects.count()),
    "rate_counts": (lambda at: RateCount.objects.create(key="k", ends_at=at), lambda: 1 - RateCount.objects.count()),
    "login_failures": (
        lambda at: LoginFailures.objects.create(name="n", day_began_at=at, today=1, in_a_row=1, last_at=at),
        lambda: 1 - LoginFailures.objects.count(),
    ),
    "login_addresses": (
        lambda at: LoginAddress.objects.create(key="k", last_at=at),
        lambda: 1 - LoginAddress.objects.count(),
    ),
    "metric_minutes": (
        lambda at: MetricMinute.objects.create(at=at, metric="aval_codes", labels={}, count=1, sum=0),
        lambda: 1 - MetricMinute.objects.count(),
    ),
    "admin_log": (log_row, lambda: 1 - LogEntry.objects.count()),
    "codes_of_the_erased": (
        lambda at: token(make_applicant(), NOW - LOOK_BACK, forget_at=at),
        lambda: VerificationToken.objects.filter(destination="", forget_at=None).count(),
    ),
}
"""For each kind: a function that makes one row at a time, and one that counts how many were removed."""


def test_every_kind_is_tried_and_every_setting_belongs_to_one():
    assert set(GONE) | {"messages_of_the_erased"} == {each.name for each in retention.RULES}
    assert {each.name for each in retention.OF_THE_ERASED} == {"codes_of_the_erased", "messages_of_the_erased"}
    assert set(settings.AVAL_KEEP_DAYS) <= set(GONE)


@pytest.mark.parametrize("name", list(GONE))
def test_a_row_is_removed_when_its_period_is_over_and_not_a_second_before(name):
    make, gone = GONE[name]
    edge = kind(name).before(at=NOW)
    make(edge)
    assert kind(name).count(at=NOW) == 0
    assert run(kinds=[kind(name)])[name] == 0
    assert gone() == 0, "exactly as old as allowed is kept"
    assert kind(name).count(at=NOW + SECOND) == 1
    assert run(at=NOW + SECOND, kinds=[kind(name)])[name] == 1
    assert gone() == 1
    assert run(at=NOW + SECOND, kinds=[kind(name)])[name] == 0, "what has gone is not found again"


def test_a_message_is_blanked_but_for_what_the_law_asks_for():
    made = message(NOW - days("messages") - SECOND, partner=client().partner)
    run()
    made.refresh_from_db()
    assert (made.recipient, made.subject, made.text, made.html, made.provider_id) == ("",) * 5
    assert made.provider_reply == "ok ••• para •••"
    assert (made.partner.slug, made.request_id, made.state, made.provider, made.via) == (
        "banco",
        7,
        "SENT",
        "lejano",
        "S",
    )
    assert not made.events.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "QUEUED"},
        {"state": "SENDING", "claim_id": "0" * 32, "lease_until": NOW},
        {"kept_until": NOW, "sealed": b"x"},
    ],
)
def test_a_message_in_the_queue_is_not_touched_however_old(changes):
    made = message(NOW - timedelta(days=3000), **changes)
    assert run()["messages"] == 0
    made.refresh_from_db()
    assert made.recipient == PHONE


@pytest.mark.parametrize(("state", "gone"), [("SENDING", 0), ("PAUSED", 0), ("DONE", 1), ("CANCELLED", 1)])
def test_a_running_campaign_keeps_its_recipients(state, gone):
    campaign = CampaignFactory(state=state)
    message(NOW - timedelta(days=3000), kind="boletin", via="C", recipient="ana@dominio.com", campaign=campaign)
    assert run()["messages"] == gone


@pytest.mark.parametrize(("state", "gone"), [("QUEUED", 0), ("CANCELLED", 1)])
def test_a_campaign_s_message_to_a_client_just_erased_is_blanked_too(state, gone):
    campaign = CampaignFactory(state="SENDING", created_at=NOW, started_at=NOW)
    of = {"kind": "boletin", "via": "C", "recipient": "ana@dominio.com", "campaign": campaign, "state": state}
    erased = client(NOW, email="", forgotten_at=NOW)
    message(NOW, **of, authorized_client=erased)
    message(NOW, **{**of, "recipient": "eva@dominio.com"}, authorized_client=client(NOW))
    done = run(kinds=retention.OF_THE_ERASED)
    assert done["messages_of_the_erased"] == gone
    assert Message.objects.filter(recipient="").count() == gone


def test_two_blanked_messages_of_a_campaign_break_no_constraint():
    campaign = CampaignFactory(state="DONE")
    for address in ("ana@dominio.com", "eva@dominio.com"):
        message(NOW - timedelta(days=3000), kind="boletin", via="C", recipient=address, campaign=campaign)
    assert run()["messages"] == 2


@pytest.mark.django_db(transaction=True)  # the answer is read over a connection of its own
def test_contract_1_does_not_list_blanked_messages(nopasanada, desk):
    old = NOW - days("messages")
    for moment, address in ((old - SECOND, "vieja@dominio.com"), (old, "nueva@dominio.com")):
        message(moment, kind="boletin", via="C", recipient=address, partner=nopasanada.partner, sent_at=moment)
    assert desk.listing("mensajes_enviados")["resultados"]["cuenta"] == 2
    run()
    answer = desk.listing("mensajes_enviados")["resultados"]
    assert [each["direccion_correo"] for each in answer["data"]] == ["nueva@dominio.com"]


def test_no_setting_takes_the_history_from_a_ladder(settings):
    settings.AVAL_KEEP_DAYS = {**settings.AVAL_KEEP_DAYS, "codes": 1}
    young = token(make_applicant("1"), NOW - LOOK_BACK)
    old = token(make_applicant("2"), NOW - LOOK_BACK - SECOND)
    run()
    young.refresh_from_db()
    old.refresh_from_db()
    assert (young.destination, old.destination, old.operator) == (PHONE, "", "")


def test_a_pending_code_is_not_touched_however_old():
    live = token(make_applicant(), NOW - timedelta(days=3000), outcome="PENDIENTE", finished_at=None)
    Applicant.objects.update(updated_at=NOW - timedelta(days=3000))
    run()
    live.refresh_from_db()
    assert live.destination == PHONE
    assert Applicant.objects.count() == 1, "who has a live code is not quiet"


def test_an_applicant_with_a_recent_code_is_kept():
    old = NOW - days("pending") - SECOND
    quiet, active = (make_applicant(number, created_at=old, updated_at=old) for number in ("11111111", "22222222"))
    of_quiet, of_active = (
        message(NOW, reference=token(quiet, old).pk),
        message(NOW, reference=token(active, old + 2 * SECOND).pk),
    )
    assert run()["pending"] == 1
    assert list(Applicant.objects.all()) == [active]
    quiet = Applicant.all_objects.get(pk=quiet.pk)
    assert str(quiet) == "datos borrados"
    assert {quiet.names, quiet.paternal_surname, quiet.maternal_surname, quiet.email, quiet.district} == {""}
    assert not VerificationToken.objects.filter(applicant=quiet.pk).exclude(destination="").exists()
    of_quiet.refresh_from_db()
    of_active.refresh_from_db()
    assert (of_quiet.recipient, of_active.recipient) == ("", PHONE), "no rule would find this message later"
    assert list(MessageEvent.objects.values_list("message", flat=True)) == [of_active.pk]


def test_a_blanked_applicant_may_register_again(front):
    first = front.register()
    Applicant.objects.update(updated_at=NOW - days("pending") - SECOND)
    VerificationToken.objects.all().delete()
    assert run()["pending"] == 1
    assert front.ask(first).json()["code"] == "ERR_CLIENT_NOT_FOUND"
    assert front.get(f"/client/{first}/cooldown/S").json()["code"] == "ERR_CLIENT_NOT_FOUND"
    assert front.register() != first


def test_a_blanked_applicant_is_in_no_warning_about_a_proved_phone(front):
    old = NOW - days("validated") - SECOND
    make_applicant(
        "87654321",
        created_at=old,
        updated_at=old,
        state="VALIDADO",
        validated_at=old,
        proved_via="S",
        proved_destination=PHONE,
    )
    assert "warning" in front.ask(front.register()).json()
    assert run()["validated"] == 1
    assert (
        "warning"
        not in front.ask(front.register(documento="11223344", correo="x@example.com"), telefono="912345678").json()
    )
    assert not Applicant.all_objects.filter(proved_destination=PHONE).exists()


def test_evidence_of_a_live_subscription_is_kept():
    old = NOW - timedelta(days=4000)
    consent(client(), old)
    assert run()["consents"] == 0
    AuthorizedClient.objects.update(unsubscribed_at=NOW - days("consents") - SECOND)
    assert run()["consents"] == 1


def test_a_link_that_led_to_a_consent_loses_its_mailbox_and_the_evidence_does_not():
    at = NOW - timedelta(days=100)
    kept = link(at)
    record = consent(client(), at, request=kept)
    assert run()["links"] == 1
    kept.refresh_from_db()
    record.refresh_from_db()
    assert (kept.email, kept.address) == ("", None)
    assert (record.email, record.address) == ("ana@dominio.com", "192.0.2.1")
    assert run()["links"] == 0


def test_evidence_goes_only_in_a_transaction_that_says_so_and_only_if_it_is_old():
    record = consent(client(), NOW)
    gone, changed = "DELETE FROM subscription_consentrecord", "UPDATE subscription_consentrecord SET text = ''"
    for said in ("", (NOW - SECOND).isoformat(), NOW.isoformat()):
        with pytest.raises(DatabaseError, match="append-only"):
            after_saying(said, gone)
    with pytest.raises(DatabaseError, match="append-only"):
        after_saying((NOW + SECOND).isoformat(), changed)
    assert ConsentRecord.objects.get() == record


def after_saying(up_to, sql):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('aval.consents_over', %s, true)", [up_to])
        cursor.execute(sql)


def test_a_kind_with_no_period_is_kept(settings):
    settings.AVAL_KEEP_DAYS = {**settings.AVAL_KEEP_DAYS, "provider_events": 0}
    ProviderEvent.objects.create(provider="p", at=NOW - timedelta(days=9999), what="restored")
    assert kind("provider_events").count(at=NOW) == 0
    assert run()["provider_events"] == 0


def test_rows_are_removed_in_batches_until_the_time_is_up(monkeypatch):
    ApiRequest.objects.bulk_create(ApiRequestFactory.build_batch(2 * BATCH + 1, created_at=NOW - timedelta(days=9999)))
    assert kind("requests").batch(at=NOW) == BATCH
    assert run(seconds=0.0) == {}, "no time, nothing done"
    assert run()["requests"] == BATCH + 1
    assert not ApiRequest.objects.exists()


def test_a_kind_that_fails_is_logged_and_does_not_stop_the_others(caplog):
    broken = RetentionRule("broken", "SELECT id FROM no_such_table WHERE at < %(before)s", "", lambda: timedelta(0))
    request(NOW - timedelta(days=9999))
    with transaction.atomic():
        pass
    with caplog.at_level(logging.INFO, "support.privacy.retention"):
        done = retention.run(at=NOW, seconds=30.0, kinds=[kind("requests"), _apart(broken)])
    assert done == {"requests": 1}
    texts = [(record.message, getattr(record, "kind", None)) for record in caplog.records]
    assert texts == [("a kind of data could not be forgotten", "broken"), ("forgotten", None)]
    assert caplog.records[-1].rows == {"requests": 1}


def _apart(broken):
    """Rule whose failure does not break the test's transaction; in the job each batch has its own."""

    class Apart:
        name = broken.name

        def batch(self, *, at):
            with transaction.atomic():
                return broken.batch(at=at)

    return Apart()


@pytest.mark.django_db(transaction=True)
def test_two_jobs_at_once_share_the_work():
    at = NOW - timedelta(days=3000)
    ApiRequest.objects.bulk_create(ApiRequestFactory.build_batch(3 * BATCH, created_at=at))
    Message.objects.bulk_create(MessageFactory.build_batch(3 * BATCH, sent=True, created_at=at), batch_size=BATCH)
    done = at_once([run] * 4)
    assert sum(each["requests"] for each in done) == 3 * BATCH
    assert sum(each["messages"] for each in done) == 3 * BATCH
    run()
    assert not ApiRequest.objects.exists()
    assert not Message.objects.exclude(recipient="").exists()


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_is_skipped():
    old = NOW - timedelta(days=3000)
    held, _ = (make_applicant(number, created_at=old, updated_at=old) for number in ("11111111", "22222222"))
    with transaction.atomic():
        Applicant.objects.select_for_update(no_key=True).get(pk=held.pk)
        [done] = at_once([run])
        assert done["pending"] == 1
    assert run()["pending"] == 1


def test_the_command_says_what_it_would_do_and_then_does_it():
    message(NOW - timedelta(days=9999))
    said = StringIO()
    call_command("forget", "--dry-run", stdout=said)
    assert dict(line.split() for line in said.getvalue().splitlines()[:-1])["messages"] == "1"
    assert Message.objects.exclude(recipient="").exists()
    call_command("forget", stdout=said)
    assert not Message.objects.exclude(recipient="").exists()
    with pytest.raises(CommandError):
        call_command("forget", "--seconds", "0")


def test_the_nightly_tasks_are_scheduled():
    importlib.import_module("support.tasks")
    names = {entry["task"] for entry in current_app.conf.beat_schedule.values()}
    assert {"support.forget", "support.forget_erased"} <= names & set(current_app.tasks)
    message(NOW - timedelta(days=9999))
    current_app.tasks["support.forget"]()
    assert not Message.objects.exclude(recipient="").exists()


BY_INDEX = {
    "messages": "message_with_recipient",
    "codes": "tokens_with_destination",
    "codes_of_the_erased": "tokens_of_the_erased",
    "pending": "applicants_gone_quiet",
    "validated": "applicants_long_done",
    "deauthorized": "clients_long_deauthorized",
    "requests": "requests_by_time",
    "answers": "answers_by_age",
    "receipts": "receipts_by_time",
    "links": "links_with_mailbox",
}


@pytest.mark.parametrize("name", list(BY_INDEX))
def test_a_big_table_is_read_from_its_oldest_row_by_an_index(name):
    with connection.cursor() as cursor:
        drop_other_indexes(cursor, BY_INDEX[name])
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {kind(name).select_sql} LIMIT 10", {"before": NOW, "at": NOW})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert BY_INDEX[name] in plan, plan
    assert "Sort" not in plan, plan


def test_expired_events_are_found_by_their_brin_index_without_a_sort():
    with connection.cursor() as cursor:
        drop_other_indexes(cursor, "events_by_age")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {kind('events').select_sql} LIMIT 10", {"before": NOW, "at": NOW})
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Bitmap Index Scan on events_by_age" in plan, plan
    assert "Sort" not in plan, plan
