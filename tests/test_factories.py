"""Rows of the factories are as the product writes them."""

from contextlib import suppress
from unittest.mock import Mock

import pytest
from django.utils import timezone

from clients.credentials import authenticate
from clients.errors import Refused
from clients.external_clients import Details, register
from clients.models import ExternalClient
from conftest import NOW, make_applicant
from messaging.delivery import send
from messaging.gateways import sandbox
from messaging.gateways.base import GatewayError
from messaging.models import Message
from testkit.codes import request_code
from tests.factories import CredentialFactory, ExternalClientFactory, MessageFactory, VerificationTokenFactory
from tokens import services, sweeper
from tokens.models import CODE_LIFETIME
from tokens.services import Origin

pytestmark = pytest.mark.django_db
CODE = "Q7ZX"


def columns(row, *but):
    values = type(row).objects.values().get(pk=row.pk)
    return {name: value for name, value in values.items() if name not in ("id", *but)}


def type_in(token, typed, *, at):
    with suppress(Refused):
        services.verify(token.applicant_id, typed, origin=Origin(), at=at)


@pytest.mark.parametrize("rung", [1, 2])
@pytest.mark.parametrize("via", ["S", "W", "I", "C"])
def test_a_code_is_as_a_request_writes_it(via, rung):
    applicant = make_applicant()
    to = {} if via == "C" else {"phone": "987654321", "operator": "CLARO"}
    for nth in range(rung):
        at = NOW + nth * CODE_LIFETIME
        asked = request_code(applicant.pk, via=via, **to, origin=Origin(), at=at)
    other = make_applicant("11112222", email=applicant.email)
    made = VerificationTokenFactory(applicant=other, via=via, rung=rung, created_at=at)
    assert columns(made, "applicant_id", "code_hmac") == columns(asked, "applicant_id", "code_hmac")


@pytest.mark.parametrize("outcome", ["VALIDADO", "FALLIDO", "EXPIRADO", "SIN_RESPUESTA", "CANCELADO", "NO_ENVIADO"])
def test_a_code_that_is_over_has_the_columns_of_its_end(outcome):
    wanted = VerificationTokenFactory(outcome=outcome)
    token = VerificationTokenFactory(code=CODE, created_at=wanted.created_at)
    if outcome == "VALIDADO":
        type_in(token, CODE, at=wanted.finished_at)
    elif outcome == "CANCELADO":
        services.cancel(token.applicant_id, origin=Origin(), at=wanted.finished_at)
    elif outcome == "NO_ENVIADO":
        sweeper._return_rungs([token.pk], certainly=True, at=wanted.finished_at)
    else:
        for _ in range(wanted.wrong_tries):
            type_in(token, "0000", at=min(wanted.finished_at, token.expires_at))
        sweeper.close_expired(at=wanted.finished_at)
    assert columns(token, "applicant_id", "code_hmac") == columns(wanted, "applicant_id", "code_hmac")


def test_a_credential_opens_the_contracts_with_the_secret_that_a_test_names():
    secret = "a" * 32
    credential = CredentialFactory(secret=secret)
    assert authenticate(secret, at=NOW) == credential


def test_an_external_client_is_as_its_registration_writes_it():
    made = ExternalClientFactory(last_name="Ñáñez Ruiz", client_id="CL1", created_at=NOW)
    details = Details(*(getattr(made, name) for name in Details._fields))
    register(CredentialFactory(), "CL1", details, request_id=1, address=None, at=NOW)
    other = ExternalClient.objects.exclude(pk=made.pk).get()
    assert columns(made, "partner_id") == columns(other, "partner_id")


@pytest.mark.parametrize("trait", ["queued", "sent", "failed"])
def test_a_message_has_the_columns_of_its_state(trait, monkeypatch):
    services.request(
        make_applicant().pk, via="S", phone="987654321", operator="CLARO", origin=Origin(), at=timezone.now()
    )
    if trait == "failed":
        refused = Mock(side_effect=GatewayError("rechazado", permanent=True))
        monkeypatch.setattr(sandbox.SandboxGateway, "send", refused)
    if trait != "queued":
        send.deliver_due("codes")
    wanted, made = Message.objects.get(), MessageFactory(**{trait: True})
    for name in ("state", "attempts", "provider"):
        assert getattr(made, name) == getattr(wanted, name), name
    for name in ("claim_id", "lease_until", "handed_over_at", "sent_at", "delivered_at"):
        assert (getattr(made, name) is None) == (getattr(wanted, name) is None), name
    for name in ("provider_id", "provider_reply"):
        assert bool(getattr(made, name)) == bool(getattr(wanted, name)), name
