"""A partner reads the same reason as the desk: one closed list, and nothing that a provider wrote."""

from datetime import timedelta
from itertools import product

import pytest
from django.db import connection
from django.utils import timezone

from messaging import reasons as reasons_of_messages
from messaging.delivery.mail_bounces import NOT_TRIED
from messaging.models import Message
from messaging.reasons import Reason
from support.cases.diagnosis import Why, diagnose
from support.cases.person_search import person_of
from tests.factories import ApplicantFactory, MessageFactory, VerificationTokenFactory
from tokens import reasons
from tokens.models import CodeTry, VerificationToken

pytestmark = pytest.mark.django_db

WITHOUT_A_WORD = {
    Why.NEVER_ASKED,  # no code yet
    Why.WAITING,  # a refused request, which the partner saw
    Why.ON_ITS_WAY,  # not over
    Why.VERIFIED,  # no failure
    Why.LOCKED,  # an event of its own
    Why.NOT_AUTHORIZED,  # below: not of a code or a message
    Why.REMOVED,
    Why.UNSUBSCRIBED,
    Why.NOT_SUBSCRIBED,
    Why.SUBSCRIBED,
    Why.BULLETIN_REFUSED,  # of a bulletin that was refused or not delivered: the message has the word
    Why.REGISTERED,
}
"""Diagnoses that say nothing about why a code or a message came to nothing."""
Outcome = VerificationToken.Outcome
ENDED = [each for each in Outcome if each not in (Outcome.PENDING, Outcome.VALIDATED, Outcome.REPLACED)]
"""Of a replaced code the desk says nothing: it explains the latest one."""


def test_each_diagnosis_has_a_word_for_partners_or_is_no_failure_of_a_code_or_message():
    assert {each.value for each in Why} - {each.value for each in WITHOUT_A_WORD} == {each.value for each in Reason}


def ended(outcome, state, *, reply=""):
    """A code that ended an hour ago, with its message."""
    then = timezone.now() - timedelta(hours=1)
    applicant = ApplicantFactory(created_at=then)
    token = VerificationTokenFactory(applicant=applicant, outcome=outcome, created_at=then)
    MessageFactory(reference=token.pk, state=state, created_at=then, provider_reply=reply, provider="lejano")
    return token


def said_by_the_desk(token):
    return diagnose(person_of(token.applicant), at=timezone.now())[0].why.value


def in_the_statement(token):
    """The word that the statement which ends such a code writes into its event."""
    word = reasons.of_ended("outcome", "tokens_verificationtoken.id")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {word} FROM tokens_verificationtoken WHERE id = %s", [token.pk])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(("outcome", "state"), list(product(ENDED, Message.State)))
def test_the_desk_the_partner_and_the_event_give_one_reason(outcome, state):
    token = ended(outcome, state)
    reason = reasons.of_code(token, at=timezone.now())
    assert reason in Reason
    assert said_by_the_desk(token) == reason == in_the_statement(token)


def test_a_code_to_a_mailbox_that_bounced_is_suppressed_for_all():
    token = ended(Outcome.NOT_SENT, Message.State.FAILED, reply=NOT_TRIED)
    assert said_by_the_desk(token) == reasons.of_code(token, at=timezone.now()) == in_the_statement(token)
    assert in_the_statement(token) == "suppressed"


def test_the_right_code_after_its_time_is_late_for_both():
    token = ended(Outcome.NO_ANSWER, Message.State.DELIVERED)
    CodeTry.objects.create(token=token, at=token.expires_at + timedelta(seconds=4), result=CodeTry.Result.LATE)
    assert said_by_the_desk(token) == reasons.of_code(token, at=timezone.now()) == "late"


def test_a_code_that_was_verified_or_still_may_be_has_no_reason():
    assert reasons.of_code(ended(Outcome.VALIDATED, Message.State.SENT), at=timezone.now()) is None
    assert reasons.of_code(VerificationTokenFactory(), at=timezone.now()) is None


def test_a_code_whose_end_nobody_has_written_yet_has_the_reason_of_its_end():
    then = timezone.now() - timedelta(hours=1)
    wrong, silent = (VerificationTokenFactory(created_at=then, wrong_tries=tries) for tries in (1, 0))
    found = [reasons.of_code(each, at=timezone.now()) for each in (wrong, silent)]
    assert found == [Reason.WRONG, Reason.STUCK]


@pytest.mark.parametrize(("state", "reply"), list(product(Message.State, ["", "550 ana@dominio.com", NOT_TRIED])))
def test_the_reason_of_a_message_is_the_same_in_python_and_in_a_statement(state, reply):
    with connection.cursor() as cursor:
        expression = reasons_of_messages.expression("%(state)s", "%(reply)s")
        cursor.execute(f"SELECT {expression}", {"state": state.value, "reply": reply})
        assert cursor.fetchone()[0] == reasons_of_messages.of_message(state, reply)
