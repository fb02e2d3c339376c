"""Erasure beside other calls: whichever comes first, nothing of the person is left and no call fails."""

import pytest
from django.utils import timezone

from clients.authorized_clients import Authorization, authorize
from clients.errors import ApplicantAlreadyValidated, ApplicantNotFound
from clients.models import Applicant, AuditEntry, AuthorizedClient
from conftest import at_once, make_applicant
from messaging.delivery import send
from messaging.models import Message
from messaging.retention import MessageBeingSent
from subscription import confirming
from subscription.errors import UnusableLink
from subscription.links import confirmation_token
from subscription.models import ConsentRecord, SubscriptionRequest
from support.cases.actions import Agent
from support.privacy import erasure
from support.tests.privacy_cast import ANA, CODE, everywhere
from tests.factories import SubscriptionRequestFactory
from tokens import services
from tokens.errors import CooldownActive, NoPendingToken
from tokens.models import VerificationToken
from tokens.services import Origin

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "911222333"
ROUNDS = 5


@pytest.fixture(autouse=True)
def known_code(monkeypatch):
    monkeypatch.setattr("tokens.codes.generate", lambda: CODE)


def erase(row):
    return erasure.erase(row, Agent(by="marta", reason="lo pidió", at=timezone.now(), address="192.0.2.7"))


def outcome(act, *refusals):
    def run():
        try:
            act()
        except refusals as refusal:
            return type(refusal).__name__
        return "done"

    return run


def ask(applicant, via):
    phone = {} if via == "C" else {"phone": PHONE, "operator": "CLARO"}
    services.request(applicant.pk, via=via, origin=Origin(), at=timezone.now(), **phone)


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_code_requested_meanwhile_is_erased_or_finds_nobody(turn):
    applicant = make_applicant(f"1000000{turn}")
    asks = [outcome(lambda via=via: ask(applicant, via), CooldownActive, ApplicantNotFound) for via in "SWICSW"]
    done = at_once([*asks[:3], lambda: erase(applicant), *asks[3:]])
    assert done.pop(3) is not None
    assert set(done) <= {"done", "CooldownActive", "ApplicantNotFound"}
    assert not Applicant.objects.exists()
    assert not VerificationToken.objects.filter(outcome="PENDIENTE").exists(), "none of their codes is live"
    assert not Message.objects.exclude(recipient="").exists()
    assert not Message.objects.filter(state__in=["QUEUED", "SENDING"]).exists()
    assert VerificationToken.objects.filter(forget_at=None).count() == 0


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_code_typed_meanwhile_validates_first_or_finds_nobody(turn):
    applicant = make_applicant(f"2000000{turn}")
    ask(applicant, "S")
    verify = outcome(
        lambda: services.verify(applicant.pk, CODE, origin=Origin(), at=timezone.now()),
        ApplicantNotFound,
        NoPendingToken,
        ApplicantAlreadyValidated,
    )
    done = at_once([verify, lambda: erase(applicant), verify])
    assert done.pop(1) is not None
    assert set(done) <= {"done", "ApplicantNotFound", "NoPendingToken"}
    assert Applicant.all_objects.get(pk=applicant.pk).proved_destination == ""
    token = VerificationToken.objects.get()
    assert token.outcome == ("VALIDADO" if "done" in done else "CANCELADO")


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_worker_sends_before_the_erasure_or_not_at_all(turn):
    applicant = make_applicant(f"3000000{turn}")
    ask(applicant, "S")
    erased = outcome(lambda: erase(applicant), MessageBeingSent)
    done = at_once([lambda: send.deliver_due("codes"), erased, lambda: send.deliver_due("codes")])
    if done[1] != "done":
        assert Applicant.objects.filter(pk=applicant.pk).exists(), "refused: nothing was done"
        erase(applicant)
    message = Message.objects.get()
    assert (message.recipient, message.state in ("SENT", "CANCELLED")) == ("", True)
    assert not Applicant.objects.exists()


def test_of_two_erasures_at_once_one_happens():
    rows = everywhere(ANA, slug="banco")
    done = at_once([lambda: erase(rows.applicant), lambda: erase(rows.client), lambda: erase(rows.applicant)])
    assert sum(each is not None for each in done) == 1
    assert AuditEntry.objects.filter(action=erasure.ERASED).count() == 2


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_a_link_is_confirmed_before_the_erasure_or_is_unusable(turn):
    rows = everywhere(ANA, slug="banco")
    now = timezone.now()
    AuthorizedClient.objects.update(created_at=now, subscribed_at=None)
    link = SubscriptionRequestFactory(email=ANA.email, requested_at=now)
    digest = confirming.offer(confirmation_token(link.pk), at=now).consent.digest
    confirm = outcome(
        lambda: confirming.confirm(
            confirmation_token(link.pk), digest=digest, chosen=None, address="192.0.2.9", at=now
        ),
        UnusableLink,
    )
    first, entry = at_once([confirm, lambda: erase(rows.client)])
    assert entry is not None
    assert first in ("done", "UnusableLink")
    assert ConsentRecord.objects.count() == 1 + (first == "done")
    assert SubscriptionRequest.objects.exclude(email="").count() == 0
    assert not AuthorizedClient.objects.exists()


def test_an_alta_meanwhile_is_a_new_authorization_or_was_one_of_the_erased():
    rows = everywhere(ANA, slug="banco")
    again = Authorization(ANA.email, "Ana Díaz", "", "", "", "C1", "VIP")

    def alta():
        return authorize(rows.client.partner, [again], request_id=99, at=timezone.now())

    known, entry = at_once([alta, lambda: erase(rows.client)])
    assert entry is not None
    live = AuthorizedClient.objects.filter(email=ANA.email)
    assert live.count() == (0 if known else 1)
    assert set(live.values_list("request_id", flat=True)) <= {99}
