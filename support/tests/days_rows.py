"""Rows of a day for the dashboard: codes, messages and requests."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from clients.models import Applicant
from conftest import make_applicant
from external_api.models import ApiRequest
from tests.factories import MessageFactory
from tokens.models import VerificationToken

AT = datetime(2026, 2, 12, 15, 30, tzinfo=UTC)
"""10:30 in Lima."""
HOSTILE = '<script>alert("x")</script>{{ 7|add:7 }}'


def token(at=AT, *, via="S", operator="CLARO", outcome="VALIDADO", took=20, who=None, rung=1, message="", **changes):
    who = who or Applicant.objects.first() or make_applicant()
    wait = timedelta(minutes={1: 2, 2: 4, 3: 30}[rung])
    row = VerificationToken.objects.create(
        applicant=who,
        via=via,
        destination="987654321",
        operator=operator if via != "C" else "",
        code_hmac=b"",
        created_at=at,
        expires_at=at + timedelta(seconds=150),
        outcome=outcome,
        finished_at=None if outcome == "PENDIENTE" else at + timedelta(seconds=took),
        client_attempt=rung,
        destination_attempt=rung,
        **{"client_wait": wait, "destination_wait": wait, **changes},
    )
    if message:
        sent(at, state=message, via=via, reference=row.pk)
    return row


def sent(at=AT, *, state="SENT", reply="", via="S", due=None, **changes):
    more = {"claim_id": uuid4(), "lease_until": at} if state == "SENDING" else {}
    return MessageFactory(
        via=via, state=state, provider_reply=reply, created_at=at, next_attempt_at=due or at, **more, **changes
    )


def call(at=AT, *, partner=None, contract="informaperu", status=200, ms=10):
    ApiRequest.objects.create(
        contract=contract, partner=partner, action="verify", status=status, duration_ms=ms, created_at=at
    )
